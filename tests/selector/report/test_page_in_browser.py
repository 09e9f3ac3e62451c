"""The page in headless Chromium: every panel, a map that answers, and no complaint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from selector.report.page import report
from selector.selection import select
from selector.tables.layout import RunLayout
from selector.tables.read import read
from tests.selector.report.real_run import HOSTILE, key_of, write_real_run
from tests.support.browser import chromium, complaints, drag, open_page
from tests.support.runs import SyntheticRun, write_facts

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PANELS = ("overview", "noise", "classes", "map", "compare", "kept", "dropped", "by-class",
          "duplicates", "failed", "origin")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunLayout:
    """Two selections, duplicates and a map of three clumps, one for each class."""
    layout = write_real_run(tmp_path_factory.mktemp("real"))
    select(layout.root, {"name": "top", "steps": [{"take": {"n": 40, "order": "noise_value"}}]})
    select(layout.root, {"name": "rand", "steps": [{"sample": {"n": 40, "seed": 0}}]})
    scores = read(layout, "scores")
    made = SyntheticRun(layout, scores)
    rows, labels = scores["row_id"], scores["pseudo_label"].fill_null(0).to_numpy()
    failed = ~scores["noise_value"].is_valid().to_numpy()
    noise = np.random.default_rng(0).uniform(-1, 1, (len(rows), 2))
    places = (np.array([[0, 0], [20, 0], [10, 15]])[labels] + noise).astype(np.float32)
    x, y = (pa.array(places[:, axis], mask=failed) for axis in (0, 1))
    write_facts(made, "map", {"row_id": rows, "x": x, "y": y})
    first = pa.array(np.full(len(rows), rows[0].as_py()), mask=np.arange(len(rows)) != 1)
    write_facts(made, "duplicates_exact", {"row_id": rows, "duplicate_of": first})
    report(layout.root, "top", compare="rand")
    return layout


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(run: RunLayout, browser: Any) -> Any:
    open_page(browser, f"{run.report_dir}/top.html")
    return browser


def by_id(page: Any, name: str) -> Any:
    return page.find_element("id", name)


def test_every_panel_is_there_and_nothing_is_complained_of(page: Any) -> None:
    for name in PANELS:
        section = by_id(page, name)
        assert section.is_displayed()
        assert section.text.strip()
    images = page.find_elements("css selector", "img")
    shown = page.execute_script(
        "return Array.from(document.images).map((i) => { i.loading = 'eager'; return i.src; })"
    )
    assert len(images) == len(shown) > 100
    assert complaints(page) == []


def test_hostile_strings_do_nothing(page: Any) -> None:
    assert HOSTILE in by_id(page, "classes").text
    own = page.execute_script("return document.querySelectorAll('script:not([type])').length")
    assert own == 1
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        _ = page.switch_to.alert.text


def test_keys_walk_from_image_to_image_and_fill_the_list(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    canvas, card = by_id(page, "map-canvas"), by_id(page, "map-card")
    assert not card.is_displayed()
    canvas.send_keys(Keys.ARROW_RIGHT)
    first = card.text
    assert card.is_displayed()
    assert "noise value" in first
    assert by_id(page, "map-status").get_attribute("textContent").startswith(first.split("\n")[0])
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert card.text != first
    canvas.send_keys(Keys.ENTER)
    assert by_id(page, "map-count").text == "1"
    canvas.send_keys("0v")
    assert by_id(page, "map-count").text == "118"
    canvas.send_keys(Keys.ESCAPE)
    assert not card.is_displayed()
    assert complaints(page) == []


def test_the_pointer_hovers_and_the_card_shows_the_image(page: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    canvas, card = by_id(page, "map-canvas"), by_id(page, "map-card")
    x, y = page.execute_script(
        # The place of the first point, as the page draws it before anything is moved.
        "const d = MapData.read('map-data'), c = document.getElementById('map-canvas');"
        "const k = Math.min(c.clientWidth, c.clientHeight) * 0.94;"
        "return [(d.x[0] - 0.5) * k, (d.y[0] - 0.5) * k]"
    )
    ActionChains(page, duration=10).move_to_element_with_offset(canvas, x, y).perform()
    assert card.is_displayed()
    assert key_of(0) in card.text or "img" in card.text
    has_pixels = (
        "const c = document.getElementById('map-card-picture');"
        "return c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[3] === 255"
    )
    WebDriverWait(page, 5).until(lambda _: page.execute_script(has_pixels))


def test_the_lasso_takes_what_is_inside(page: Any) -> None:
    canvas = by_id(page, "map-canvas")
    by_id(page, "map-lasso").click()
    drag(page, canvas, (-0.45, 0.05), (0, 0.05), (0, 0.48), (-0.45, 0.48))  # the lower left clump
    # Scored images of the first class.
    assert by_id(page, "map-count").text == "40"
    keys = page.execute_script(
        "return Array.from(document.querySelectorAll('#map-chosen span')).map(s => s.textContent)"
    )
    assert key_of(0) in keys
    by_id(page, "map-copy").click()
    from selenium.webdriver.support.ui import WebDriverWait

    done = by_id(page, "map-done")
    WebDriverWait(page, 5).until(lambda _: "copied 40 keys" in done.text)
    by_id(page, "map-clear").click()
    assert not by_id(page, "map-list").is_displayed()
    assert complaints(page) == []


def test_colours_legend_and_highlight(page: Any) -> None:
    page.execute_script(
        "const s = document.getElementById('map-colour'); s.value = '1';"
        "s.dispatchEvent(new Event('change'))"
    )
    legend = page.find_elements("css selector", "#map-legend button")
    hostile = next(button for button in legend if HOSTILE in button.text)
    hostile.click()
    assert hostile.get_attribute("aria-pressed") == "true"
    page.find_element("css selector", ".map-take").click()
    assert by_id(page, "map-count").text == "40"
    page.execute_script(
        "const s = document.getElementById('map-colour'); s.value = '2';"
        "s.dispatchEvent(new Event('change'))"
    )
    assert "logarithmic" in by_id(page, "map-legend").text
    assert complaints(page) == []


def test_a_narrow_page_does_not_scroll_sideways(page: Any) -> None:
    metrics = {"width": 380, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.refresh()
        wide = page.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 380
        assert complaints(page) == []
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_pool_that_has_moved_leaves_the_map_usable(
    run: RunLayout, browser: Any, tmp_path: Path
) -> None:
    pool = Path(run.root).parent / "pool"
    moved = pool.rename(tmp_path / "moved")
    try:
        path = report(run.root, "top", str(tmp_path / "moved.html"))
    finally:
        shutil.move(moved, pool)
    open_page(browser, path)
    assert (
        "cannot be shown: part-000.tar cannot be read"
        in browser.find_element("tag name", "header").text
    )
    canvas = by_id(browser, "map-canvas")
    from selenium.webdriver.common.keys import Keys

    canvas.send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert "no picture" in by_id(browser, "map-card").text
    assert by_id(browser, "map-count").text == "1"
    assert complaints(browser) == []

"""A page of fifty thousand points: small enough to send, and it loads, pans and zooms."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from selector.report.facts import Origin, RunFacts
from selector.report.page import DrawnPanel, render
from selector.report.panels.map import PANEL, draw_map
from tests.support.browser import chromium, complaints, open_page
from tests.support.made_points import made_album, made_points

MEGABYTE = 1_000_000
FACTS = RunFacts(
    run="/run", selection="top", origin=Origin("made", "", "", "", "", ()), num_rows=50_000,
    num_selected=5000, status_counts=(("ok", 50_000),), class_names=(), stats={}, recipe="",
    shards=pa.table({"uri": ["/pool/a.tar"], "shard_id": [0]}), reach=frozenset({0}),
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = made_points(50_000)
    album = made_album(points)
    path = tmp_path_factory.mktemp("large") / "page.html"
    path.write_text(render(FACTS, [DrawnPanel(PANEL, draw_map(points, album))], album))
    return path


def test_it_is_under_thirty_megabytes(page: Path) -> None:
    # The other panels hold at most some megabytes of thumbnails.
    assert 5 * MEGABYTE < page.stat().st_size < 24 * MEGABYTE


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_it_loads_pans_and_zooms(page: Path) -> None:
    with chromium() as browser:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        open_page(browser, page)
        canvas = browser.find_element("id", "map-canvas")
        stage = browser.find_element("id", "map-stage")
        chain = ActionChains(browser, duration=10).move_to_element(canvas).click_and_hold()
        for step in range(6):
            chain = chain.move_by_offset(20 - 8 * step, 10)
        chain.release().perform()
        canvas.send_keys("++++", Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
        assert "shard-0" in browser.find_element("id", "map-card").text
        canvas.send_keys("0v")
        assert browser.find_element("id", "map-count").text == "50,000"
        assert float(stage.get_attribute("data-frame-ms")) > 0
        assert complaints(browser) == []

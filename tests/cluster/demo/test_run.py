"""The demo's whole loop at a size for tests: every step real, only shorter."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cluster.cli.main import app
from cluster.demo.run import ARMS, DemoResult, run_demo
from cluster.demo.settings import DemoSettings
from cluster.progress import Progress
from shards.errors import UsageError
from tests.support.browser import chromium, complaints, drag, open_page

SMALL = DemoSettings(
    num_glyphs=300, glyphs_per_shard=150, num_selected=60, num_drawn=200,
    teacher_steps=20, steps=6, batch_size=32,
)  # fmt: skip

PANELS = ("overview", "noise", "classes", "map", "kept", "dropped", "by-class", "origin")

pytestmark = pytest.mark.xdist_group("browser")  # both tests look at one run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[Progress]]:
    seen: list[Progress] = []
    home = tmp_path_factory.mktemp("demo") / "home"
    return run_demo(out=str(home), settings=SMALL, on_progress=seen.append), seen


@pytest.mark.slow
def test_every_step_runs_and_its_commands_can_be_repeated_by_hand(
    made: tuple[DemoResult, list[Progress]],
) -> None:
    result, seen = made
    home = Path(result.out)
    assert set(result.accuracy) == set(ARMS)
    assert all(0 <= value <= 100 for values in result.accuracy.values() for value in values)
    assert 0.03 < result.digit_share["pool"] < 0.25
    assert result.samples_seen == 6 * 32
    assert Path(result.report).read_text().startswith("<!doctype html>")
    assert any("1,000 held-out" in line for line in result.lines())
    commands = [
        shlex.split(line)[1:]
        for line in (home / "commands.sh").read_text().splitlines()
        if line.startswith("coursepack ")
    ]
    assert [progress.done for progress in seen] == list(range(len(commands)))
    assert seen[0].total == len(commands)
    # Each is what the demo ran: repeated by hand it finds its own work done and changes nothing.
    results = {path: path.read_bytes() for path in home.rglob("student.safetensors")}
    assert len(results) == 1 + len(ARMS)
    for command in commands[-3:-1]:  # a student and the map
        assert app(command, prog_name="coursepack", standalone_mode=False) in (0, None)
    again = run_demo(out=str(home), settings=SMALL)
    assert again.accuracy == result.accuracy
    assert {path: path.read_bytes() for path in results} == results
    card = json.loads((home / "students" / "dfnd-0" / "card.json").read_text())
    assert card["steps"] == SMALL.steps


@pytest.mark.slow
@pytest.mark.browser
def test_its_report_opens_and_its_map_answers(
    made: tuple[DemoResult, list[Progress]],
) -> None:
    result, _ = made
    with chromium() as browser:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        open_page(browser, result.report)
        for name in PANELS:
            assert browser.find_element(By.ID, name).text.strip(), name
        canvas = browser.find_element(By.ID, "map-canvas")
        canvas.send_keys(Keys.ARROW_RIGHT)
        assert "noise value" in browser.find_element(By.ID, "map-card").text
        canvas.send_keys("v")
        taken = int(browser.find_element(By.ID, "map-count").text.replace(",", ""))
        browser.find_element(By.ID, "map-clear").click()
        browser.find_element(By.ID, "map-lasso").click()
        drag(browser, canvas, (-0.48, -0.48), (0.48, -0.48), (0.48, 0.48), (-0.48, 0.48))
        lassoed = int(browser.find_element(By.ID, "map-count").text.replace(",", ""))
        assert taken >= SMALL.num_drawn
        assert lassoed >= 0.9 * taken  # all but what lies at the very edge
        assert complaints(browser) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken is a file"):
        run_demo(out=str(tmp_path / "taken"))

"""The demo's whole loop at a size for tests: every step real, only shorter."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cluster.cli.main import app
from cluster.demo.run import ARMS, run_demo
from cluster.demo.settings import DemoSettings
from cluster.progress import Progress
from shards.errors import UsageError

SMALL = DemoSettings(
    num_glyphs=300, glyphs_per_shard=150, num_selected=60, teacher_steps=20, steps=6, batch_size=32
)


@pytest.mark.slow
def test_every_step_runs_and_its_commands_can_be_repeated_by_hand(tmp_path: Path) -> None:
    seen: list[Progress] = []
    home = tmp_path / "demo"
    result = run_demo(out=str(home), settings=SMALL, on_progress=seen.append)
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
    assert app(commands[-2], prog_name="coursepack", standalone_mode=False) in (0, None)
    again = run_demo(out=str(home), settings=SMALL)
    assert again.accuracy == result.accuracy
    assert {path: path.read_bytes() for path in results} == results
    card = json.loads((home / "students" / "dfnd-0" / "card.json").read_text())
    assert card["steps"] == SMALL.steps


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken is a file"):
        run_demo(out=str(tmp_path / "taken"))

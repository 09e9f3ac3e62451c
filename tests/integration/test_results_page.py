"""docs/results.md: what it says is what the files of results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS
from benchmarks.results_page.__main__ import ROOT, files, write
from benchmarks.results_page.rows import section

SETTING = TRACKS["small"].title


def row(table: str, arm: str, seed: int, top1: float, **fields: Any) -> dict[str, Any]:
    return {
        "table": table,
        "track": "small",
        "arm": arm,
        "setting": SETTING,
        "hash": arm,
        "seed": seed,
        "measured": "test",
        "steps": 1500,
        "samples_seen": 192_000,
        "images": 10_000,
        "class_counts": [1000] * 10,
        "top1": top1,
        "per_class": [top1 / 100] * 10,
        "teacher_top1": 0.9173,
        "transition": None,
        "hardware": {"gpus": [], "cores": 2, "processor": "a CPU"},
        **fields,
    }


ROWS = [
    row("dfnd", "real_kd", 0, 75.0, images=None, class_counts=None),
    row("dfnd", "dfnd", 0, 66.0, hash="before"),
    *(row("dfnd", "dfnd", seed, 67.0 + seed) for seed in range(3)),
    row("options", "longer", 0, 70.0, steps=3000, samples_seen=384_000),
    row("options", "base", 0, 69.0),
    row("options", "mixup", 0, 69.5),
    row(
        "transition",
        "q_learned",
        0,
        68.0,
        transition={when: [[0.91 if i == j else 0.01 for i in range(10)] for j in range(10)]
                    for when in ("start", "end")},
    ),
    row("number_selected", "quota_0.5", 0, 66.0, images=5_000),
    row("number_selected", "quota_1", 0, 69.0),
    row("dfnd", "random", 0, 64.0, measured="validation"),
]  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    folder.joinpath("papers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in ROWS))
    return folder


def line_of(text: str, start: str) -> list[str]:
    (line,) = [one for one in text.splitlines() if one.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_means_gaps_and_what_was_not_run(results: Path, tmp_path: Path) -> None:
    made = files(results, tmp_path / "docs")
    text = made[tmp_path / "docs" / "results.md"]
    assert line_of(text, "DFND: lowest noise value")[1:] == [
        "10,000", "68.00 ± 1.00", "3", "−23.73", "−7.00", "94.02 (−0.83)",
    ]  # fmt: skip
    # A validation result is none, and one of another hash was of another arm.
    assert line_of(text, "random, same number")[2] == "not run"
    assert "twice the steps (2 x the samples seen)" in text
    assert text.count(f"**Pool and networks, `small` track: {SETTING}.**") == 6
    names = {path.name for path in made if path.suffix == ".svg"}
    assert {"small_dfnd.svg", "small_dfnd_balance.svg", "small_dfnd_classes.svg"} <= names
    assert {"small_q_learned_start.svg", "small_q_learned_end.svg"} <= names
    assert "small_number_selected_curve.svg" in names
    assert all(f"figures/{name}" in text for name in names)


def test_the_same_results_give_the_same_bytes(results: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    assert write(results, docs, check=True) == 1
    assert write(results, docs, check=False) == 0
    assert write(results, docs, check=True) == 0
    (docs / "figures" / "old.svg").touch()
    assert write(results, docs, check=True) == 1
    assert write(results, docs, check=False) == 0
    assert not (docs / "figures" / "old.svg").exists()
    assert files(results, docs) == files(results, docs)


def test_diagnoses_survive(results: Path, tmp_path: Path) -> None:
    notes = tmp_path / "docs" / "results_notes"
    notes.mkdir(parents=True)
    (notes / "dfnd.md").write_text("Horses are missing.\n")
    write(results, tmp_path / "docs", check=False)
    text = (tmp_path / "docs" / "results.md").read_text()
    assert text.count("**Diagnosis.** Horses are missing.") == 1


def test_seeds_come_in_order_and_once() -> None:
    doubled = [*ROWS, row("dfnd", "dfnd", 1, 60.0)]
    found = section(TABLES["dfnd"], doubled, track="small", setting=SETTING)
    (dfnd,) = [one for one in found.results if one.arm.name == "dfnd"]
    assert dfnd.values == [67.0, 60.0, 69.0]
    assert (found.teacher, found.real_kd) == (pytest.approx(91.73), 75.0)


def test_the_page_is_that_of_the_results_on_file() -> None:
    assert write(ROOT / "benchmarks" / "results", ROOT / "docs", check=True) == 0

"""duplicates: groups with the kept image in front, and the pairs that are hardly alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from selector.report.album import load_album
from selector.report.panels.duplicates import (
    PER_GROUP,
    Grade,
    draw_duplicates,
    duplicate_pictures,
    gather_duplicates,
)
from selector.report.source import open_source
from selector.selection import select
from tests.support.runs import SyntheticRun, write_facts, write_run


def make_run(folder: Path) -> SyntheticRun:
    run = write_run(folder / "run", num_shards=2, per_shard=40)
    select(run.root, {"name": "top", "steps": [{"take": {"n": 30, "order": "noise_value"}}]})
    return run


def write_duplicates(run: SyntheticRun, kind: str, groups: dict[int, int], value: str = "") -> None:
    """`groups`: position of the kept image -> how many of the next ones are its duplicates."""
    rows = run.scores["row_id"].to_numpy()
    of = np.full(len(rows), -1)
    for kept, number in groups.items():
        of[kept + 1 : kept + 1 + number] = rows[kept]
    columns = {"row_id": pa.array(rows), "duplicate_of": pa.array(of, mask=of < 0)}
    if value:
        falling = np.linspace(1, 0.9, len(rows)) if value == "similarity" else np.arange(len(rows))
        columns[value] = pa.array(falling.astype(np.float32), mask=of < 0)
    write_facts(run, f"duplicates_{kind}", columns)


def grades_of(run: SyntheticRun) -> tuple[Grade, ...] | None:
    with open_source(run.root, "top") as source:
        return gather_duplicates(source)


def test_a_run_without_duplicates_has_no_panel(tmp_path: Path) -> None:
    assert grades_of(make_run(tmp_path)) is None


def test_groups_by_size_and_the_least_alike(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    rows = run.scores["row_id"].to_pylist()
    write_duplicates(run, "semantic", {0: 2, 10: 11, 50: 1}, "similarity")
    grades = grades_of(run)
    assert grades is not None
    (grade,) = grades
    assert (grade.name, grade.num_removed, grade.num_groups) == ("semantic", 14, 3)
    assert [(g.kept, g.size) for g in grade.groups] == [(rows[10], 11), (rows[0], 2), (rows[50], 1)]
    assert grade.groups[0].removed == tuple(rows[11 : 11 + PER_GROUP])
    assert grade.farthest[0].removed == rows[51]
    assert grade.farthest[0].nearness < grade.farthest[1].nearness
    assert grade.num_selected <= 14


def test_distances_count_the_other_way(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    rows = run.scores["row_id"].to_pylist()
    write_duplicates(run, "perceptual", {0: 3}, "distance")
    write_duplicates(run, "exact", {5: 1})
    grades = grades_of(run)
    assert grades is not None
    assert [grade.name for grade in grades] == ["exact", "perceptual"]
    assert grades[0].farthest == ()
    assert grades[1].groups[0].removed == tuple(rows[1:4])
    assert grades[1].farthest[0].removed == rows[3]


def test_drawn_with_what_it_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_duplicates(run, "semantic", {10: 11}, "similarity")
    with open_source(run.root, "top") as source:
        grades = gather_duplicates(source)
        assert grades is not None
        album = load_album(source, duplicate_pictures(grades))
    html = str(draw_duplicates(grades, album))
    assert "11 images for which 1 other can stand" in html
    assert f"+{11 - PER_GROUP}" in html
    assert html.count('class="stands"') == 1 + len(grades[0].farthest)
    assert "cosine 0.9" in html


def test_groups_out_of_reach_are_counted_but_not_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_duplicates(run, "exact", {0: 2, 39: 1})
    with open_source(run.root, "top") as source:
        source.sql.execute("DELETE FROM reach WHERE shard_id = 1")
        grades = gather_duplicates(source)
    assert grades is not None
    assert (grades[0].num_removed, len(grades[0].groups)) == (3, 1)

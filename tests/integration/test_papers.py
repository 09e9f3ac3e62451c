"""The tables of the papers, at the size of a toy: what the long tracks run, runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.papers.arm import arm_hash, fill
from benchmarks.papers.run import run_table
from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS
from distiller.config import load_config
from selector.recipe import load_recipe

pytest.importorskip("mlxtend", reason="needs the demo extra: pip install 'coursepack[demo]'")


def test_a_table_runs_and_is_not_run_twice(tmp_path: Path) -> None:
    table, track, results = TABLES["dfnd"], TRACKS["tiny"], tmp_path / "results.jsonl"

    def rows() -> list[dict[str, Any]]:
        arms = ("real_labels", "random", "dfnd_quota")
        return list(
            run_table(table, track, work=tmp_path, seeds=1, results=results, only=arms, steps=10)
        )

    first = rows()
    assert [row["arm"] for row in first] == ["real_labels", "random", "dfnd_quota"]
    assert [row["images"] for row in first] == [None, 1000, 1000]
    assert all(0 <= row["top1"] <= 100 for row in first)
    assert first[2]["teacher_top1"] == first[1]["teacher_top1"]
    assert [row["class_counts"] is None for row in first] == [True, False, False]
    assert all(sum(row["class_counts"]) == 1000 for row in first[1:])
    assert first[0]["transition"] is None
    assert set(first[2]["transition"]) == {"start", "end"}
    filed = results.read_text()
    assert [json.loads(line)["hash"] for line in filed.splitlines()] == [r["hash"] for r in first]
    assert rows() == first
    assert results.read_text() == filed
    base = TABLES["options"].arms[:1]  # the same arm under another name is not trained again
    again = list(
        run_table(
            TABLES["options"],
            track,
            work=tmp_path,
            seeds=1,
            results=results,
            only=(base[0].name,),
            steps=10,
        )
    )
    assert again == [{**first[2], "table": "options", "arm": "base", "title": base[0].title}]
    assert len(results.read_text().splitlines()) == 4


@pytest.mark.parametrize("name", TABLES)
def test_every_arm_is_a_recipe_and_a_configuration(name: str, tmp_path: Path) -> None:
    arms = TABLES[name].arms
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        if arm.images == "selection":
            load_recipe(fill(arm.recipe, {"n": 100, "per_class": 10, "seed": 0}))
        config = {
            "teacher": {"name": "he/resnet20", "weights": "t.npz", "num_classes": 10},
            "student": {"name": "he/resnet8"},
            "data": {"train": ["train"]},
            **TRACKS["small"].training,
            "objective": arm.objective,
            "out": str(tmp_path),
            **fill(arm.changes, {"store": "store", "usual_n": 100}),
        }
        load_config(config)


def test_a_result_is_filed_under_what_decides_it() -> None:
    base, other = TABLES["options"].arms[:2]
    assert arm_hash(base, {"steps": 1}) != arm_hash(base, {"steps": 2})
    assert arm_hash(base, {"steps": 1}) != arm_hash(other, {"steps": 1})

"""The tables of the papers, at the size of a toy: what the long tracks run, runs here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.papers.arm import Table, arm_hash, fill, of_track
from benchmarks.papers.run import run_table
from benchmarks.papers.tables import TABLES
from benchmarks.papers.track import TRACKS
from distiller.config import load_config
from selector.recipe import load_recipe
from selector.scoring.run_views import views_of_run
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.teachers.spec import TeacherSpec

pytest.importorskip("mlxtend", reason="needs the demo extra: pip install 'coursepack[demo]'")


pytestmark = pytest.mark.xdist_group("papers")  # the teacher is trained and asked once

SMALL = TRACKS["small"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


def rows_of(table: Table, names: Sequence[str], *, work: Path, results: Path) -> list[Any]:
    found = run_table(
        table, TRACKS["tiny"], work=work, seeds=1, results=results, only=tuple(names), steps=10
    )
    return list(found)


NUMBERS = {"store": "store", "usual_n": 100, "steps_x2": 2, "steps_x3": 3}


def test_a_table_runs_and_is_not_run_twice(work: Path, tmp_path: Path) -> None:
    arms, results = ("real_labels", "random", "dfnd_quota"), tmp_path / "results.jsonl"
    first = rows_of(TABLES["dfnd"], arms, work=work, results=results)
    assert [row["arm"] for row in first] == ["real_labels", "random", "dfnd_quota"]
    assert [row["images"] for row in first] == [None, 1000, 1000]
    assert all(0 <= row["top1"] <= 100 for row in first)
    assert first[2]["teacher_top1"] == first[1]["teacher_top1"]
    assert [row["class_counts"] is None for row in first] == [True, False, False]
    assert all(sum(row["class_counts"]) == 1000 for row in first[1:])
    assert {row["samples_seen"] for row in first} == {640}
    assert first[0]["transition"] is None
    assert set(first[2]["transition"]) == {"start", "end"}
    filed = results.read_text()
    assert [json.loads(line)["hash"] for line in filed.splitlines()] == [r["hash"] for r in first]
    assert rows_of(TABLES["dfnd"], arms, work=work, results=results) == first
    assert results.read_text() == filed
    base = TABLES["options"].arms[0]  # the same arm under another name is not trained again
    again = rows_of(TABLES["options"], [base.name], work=work, results=results)
    assert again == [{**first[2], "table": "options", "arm": "base", "title": base.title}]
    assert len(results.read_text().splitlines()) == 4


def test_labelled_images_find_their_kin(work: Path, tmp_path: Path) -> None:
    """The arms of PU, with a fit that is stopped early."""
    short = {"settings": {"steps": 20, "check_every": 20, "batch_pool": 256}}
    by_name = {arm.name: arm for arm in TABLES["pu"].arms}
    some = replace(by_name["pu_s1_20"], name="some", facts={"pu": {"prior": 0.3, **short}})
    beyond = {"steps": [{"take": {"threshold": 1e9, "order": "{pu_score}"}}]}
    arms = (
        by_name["labelled_only"],
        by_name["baseline_1"],
        some,
        replace(some, name="none", recipe=beyond),
    )
    table = Table("pu", "PU", arms)
    names = [arm.name for arm in arms]
    found = rows_of(table, names, work=work, results=tmp_path / "results.jsonl")
    labelled, truth, selected, nothing = found
    assert (labelled["images"], labelled["class_counts"]) == (1000, None)
    assert truth["images"] == sum(truth["class_counts"]) == 326  # the pool's digits
    assert selected["images"] == selected["facts"]["pu"]["found"] > 100
    assert selected["facts"]["pu"]["value"] == 0.3
    assert nothing["images"] == 0  # trained on the labelled images alone
    assert nothing["facts"] == selected["facts"]


def test_duplicates_leaked_images_and_single_views_are_left_out(work: Path, tmp_path: Path) -> None:
    names = ["deduplicated", "multi_crop"]
    row, crops = rows_of(TABLES["options"], names, work=work, results=tmp_path / "results.jsonl")
    assert crops["images"] == 1000
    assert views_of_run(RunLayout(str(work / "run-views_five"))) == "five", "digits have no mirror"
    assert views_of_run(RunLayout(str(work / "run"))) == "one"
    assert row["facts"]["duplicates"]["removed"] > 0
    assert set(row["facts"]["leakage"]) == {"exact", "perceptual"}
    assert row["images"] == 1000


@pytest.mark.parametrize("name", TABLES)
def test_every_arm_is_a_recipe_and_a_configuration(name: str, tmp_path: Path) -> None:
    arms = TABLES[name].arms
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        if arm.images == "selection":
            columns = {"pu_score": "pu_x.pu_score", "leakage": "leakage_x"}
            load_recipe(fill(arm.recipe, {"n": 100, "per_class": 10, "seed": 0, **columns}))
        teacher = TeacherSpec(name="he/resnet20")
        ScoreSpec(teacher=teacher, **fill(arm.scoring, {"most_views": "ten"}))
        config = {
            "teacher": {"name": "he/resnet20", "weights": "t.npz", "num_classes": 10},
            "student": {"name": "he/resnet8"},
            "data": {"train": ["train"]},
            **TRACKS["small"].training,
            "objective": arm.objective,
            "out": str(tmp_path),
            **fill(arm.changes, NUMBERS),
        }
        load_config(config)


def test_a_result_is_filed_under_what_decides_it() -> None:
    base, other = TABLES["options"].arms[:2]
    assert arm_hash(base, {"steps": 1}) != arm_hash(base, {"steps": 2})
    assert arm_hash(base, {"steps": 1}) != arm_hash(other, {"steps": 1})


def test_results_on_file_keep_their_hashes() -> None:
    """A change of these would have finished arms trained again; new fields of Arm must not."""
    settings = {
        "track": "small",
        "student": SMALL.student,
        "teacher": {"name": "he/resnet20", "num_classes": 10},
        "num_selected": SMALL.num_selected,
        "training": SMALL.training,
        "measured": "test",
    }
    dfnd = {arm.name: arm_hash(arm, settings) for arm in TABLES["dfnd"].arms[:8]}
    assert dfnd == {
        "real_labels": "6868d1617706",
        "real_kd": "e80c73c9b5d4",
        "random": "1c013f72e0a6",
        "everything": "3eb1a1a8bacb",
        "dfnd": "c85d99265592",
        "dfnd_quota": "6943026fb6f8",
        "dfnd_quota_kd": "aab44211d0c9",
        "dfnd_quota_patient": "fba1e15a3d30",
    }
    others = {table: arm_hash(TABLES[table].arms[-1], settings) for table in ("transition",)}
    assert others == {"transition": "13d9ed590938"}


def test_a_prior_follows_the_pool() -> None:
    low, *_, high, estimated = TABLES["prior"].arms
    assert of_track(low, 0.12).facts == {"pu": {"prior": 0.03}}
    assert of_track(high, 0.5).facts == {"pu": {"prior": 0.9}}  # a prior stays below 1
    assert of_track(low, None).facts == of_track(estimated, 0.12).facts == {"pu": {"prior": "auto"}}

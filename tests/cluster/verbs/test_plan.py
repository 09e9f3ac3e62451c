"""`plan` on a real pool: leaves nothing behind but the forecast, refuses what cannot work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cluster.verbs import plan as plan_verb
from tests.support.command import coursepack, score
from tests.support.pools import write_pool, write_teacher


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    write_pool(folder / "pool", shards=3, images=16)
    write_teacher(folder / "t.safetensors")
    return folder


def plan(place: Path, *more: object, pool: str = "pool"):
    return coursepack(
        "plan", place / pool, "--teacher", "he/resnet8", "--weights", place / "t.safetensors",
        "--set", "execution.executor=inline", "--threads", 1, "--batch-size", 8,
        "--seconds", 0.1, *more,
    )  # fmt: skip


def test_plan_then_score_tells_the_forecast_beside_the_fact(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told = plan(place, "--out", run, "--price-per-hour", 2, "--json").json
    assert told["estimate"]["images"]["low"] <= 48 <= told["estimate"]["images"]["high"]
    assert told["cost"]["value"] == pytest.approx(2 * told["unit_hours"]["value"])
    assert (told["unit"], told["actors"], told["shards"]) == ("core", 1, 3)
    assert sorted(os.listdir(run)) == ["report"]
    assert os.listdir(run / "report") == ["forecast.json"]
    fact = score(place / "pool", place / "t.safetensors", run)
    assert fact.exit_code == 0, fact.errors
    assert fact.json["rows"] == 48
    assert fact.json["forecast"]["images"]["fact"] == 48
    assert fact.json["forecast"]["same_work"]


def test_without_out_nothing_at_all_is_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(os.listdir(place))
    answer = plan(place)
    assert answer.exit_code == 0, answer.errors
    assert "bounded by" in answer.output
    assert "images/s" in answer.output
    assert sorted(os.listdir(place)) == before


def test_of_a_run_that_was_begun_what_is_left_is_planned(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert score(place / "pool", place / "t.safetensors", run).exit_code == 0
    done = plan(place, "--out", run)
    assert done.exit_code == 2
    assert "nothing to do" in done.errors
    next((run / "ledger").glob("00000001-*")).unlink()
    assert plan(place, "--out", run, "--json").json["shards"] == 1
    other = plan(place, "--out", run, "--set", "limits.max_pixels=1000")
    assert other.exit_code == 2
    assert "limits.max_pixels" in other.errors


def test_what_cannot_work_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.tar").write_bytes(b"no tar" * 1000)
    answer = plan(place, pool=str(broken))
    assert answer.exit_code == 1
    assert "no image could be probed" in answer.errors
    free = plan_verb.shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(plan_verb.shutil, "disk_usage", lambda _: free)
    full = plan(place, "--out", tmp_path / "run")
    assert full.exit_code == 2
    assert "GB are free there" in full.errors
    assert not (tmp_path / "run").exists()


def test_on_ray_a_place_for_the_probes_is_asked_for(place: Path) -> None:
    # Asked before any cluster is: nobody listens there.
    answer = coursepack(
        "plan", place / "pool", "--teacher", "he/resnet8", "--weights", place / "t.safetensors",
        "--address", "127.0.0.1:1",
    )  # fmt: skip
    assert answer.exit_code == 2
    assert "--out" in answer.errors


def test_the_kept_forecast_is_plain_json(place: Path, tmp_path: Path) -> None:
    answer = plan(place, "--out", tmp_path / "run")
    assert answer.exit_code == 0
    kept = json.loads((tmp_path / "run" / "report" / "forecast.json").read_text())
    assert kept["wall_s"]["value"] == pytest.approx(
        kept["startup_s"] + kept["estimate"]["work_s"]["value"]
    )

"""`coursepack quantize`: an int8 file, its report, and scoring with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

from cluster import quantize
from cluster.cli.main import app
from cluster.runs import read_config
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.teachers.agreement import Agreement
from selector.teachers.load import load_teacher
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.models import tiny_teacher
from tests.support.pools import write_pool

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
openvino = pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_pool(tmp_path_factory.mktemp("pool"), shards=2, images=70))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ScoreSpec:
    folder = tmp_path_factory.mktemp("teacher")
    return ScoreSpec(teacher=tiny_teacher(folder, "he/resnet8", sharpness=5))


def impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that no int8 network reaches: so little differs in a network this small."""
    gate = Agreement(rank=1.01, argmax=0.98, jaccard=0.95)
    monkeypatch.setattr("selector.teachers.agreement.GATE", gate)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_pool_is_scored_with_an_accepted_file_as_its_report_says(
    pool: str, spec: ScoreSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible(monkeypatch)
    out = tmp_path / "made" / "t-int8.onnx"
    out.parent.mkdir()
    out.write_text("an older one")
    teacher = ("--teacher", "he/resnet8", "--weights", spec.teacher.weights)
    asked = ("quantize", pool, *teacher, "--out", out, "--images", 130, "--accept")
    made = invoke(*asked, "--overwrite", "--json")
    assert made.exit_code == 0, made.stderr
    told = json.loads(made.stdout)
    report = json.loads((tmp_path / "made" / "t-int8.json").read_text())
    assert told == {"exit_code": 0, **report}
    assert report["images"] == {"calibration": 65, "held_out": 65, "skipped": 0, "shards": 2}
    assert [way["runtime"] for way in report["int8"]] == ["eager", "openvino"]
    assert (report["holds"], report["accepted"]) == (False, True)
    assert all(way["rank"] > 0.9 and way["images_per_s"] > 0 for way in report["int8"])
    assert report["gate"] == {"rank": 0.995, "argmax": 0.98, "jaccard": 0.95}
    assert report["file"]["num_bytes"] == out.stat().st_size
    assert report["teacher"]["fingerprint"] == load_teacher(spec.teacher).fingerprint
    assert "onnxruntime" in report["stamp"]["versions"]
    assert sorted(one.name for one in out.parent.iterdir()) == [
        "t-int8.json", "t-int8.onnx", "t-int8.yaml",
    ]  # fmt: skip

    run, exact = tmp_path / "run", tmp_path / "exact"
    inline = ("--set", "execution.executor=inline", "--device", "cpu")
    config = ("--config", report["config"], "--runtime", "openvino")
    scored = invoke("score", pool, *config, "--out", run, *inline)
    assert scored.exit_code == 0, scored.stderr
    config_of_run = read_config(RunLayout(str(run)))
    assert config_of_run is not None
    stored = config_of_run["semantic"]
    assert (stored["teacher"], stored["runtime"]) == ("file", "openvino-fp32")
    assert stored["teacher_fingerprint"] == report["file"]["fingerprint"]
    assert invoke("score", pool, *teacher, "--out", exact, *inline).exit_code == 0
    found, expected = (
        [
            value
            for part in sorted((one / "scores").glob("*.parquet"))
            for value in pq.read_table(part)["noise_value"].to_pylist()
        ]
        for one in (run, exact)
    )
    assert len(found) == len(expected) == 140
    assert found != expected
    assert spearmanr(found, expected).statistic > 0.9


def test_what_fails_the_gate_leaves_nothing(
    pool: str, spec: ScoreSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible(monkeypatch)
    out = tmp_path / "t-int8.onnx"
    teacher = ("--teacher", "he/resnet8", "--weights", spec.teacher.weights)
    refused = invoke("quantize", pool, *teacher, "--out", out, "--images", 128)
    assert refused.exit_code == 2
    ways_out = ("--float-layers", "--images", "openvino-bf16", "--accept")
    for part in ("nothing was written", "rank correlation 0.", "same argmax", "Jaccard", *ways_out):
        assert part in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_there_stay(pool: str, spec: ScoreSpec, tmp_path: Path) -> None:
    out = tmp_path / "t.onnx"
    for taken in ("t.onnx", "t.json", "t.yaml"):
        (tmp_path / taken).write_text("mine")
        with pytest.raises(UsageError, match=rf"{taken} is there already; .*--overwrite"):
            quantize([pool], spec=spec, out=str(out))
        assert (tmp_path / taken).read_text() == "mine"
        (tmp_path / taken).unlink()


@pytest.mark.parametrize(
    ("out", "images", "told"),
    [
        ("t.pt", 1024, r"expected the name of a file that ends in \.onnx"),
        ("https://host/t.onnx", 1024, "http"),
        ("t.onnx", 100, "--images is 100; at least 128"),
    ],
)
def test_wrong_use_is_told(
    pool: str, spec: ScoreSpec, tmp_path: Path, out: str, images: int, told: str
) -> None:
    place = out if "://" in out else str(tmp_path / out)
    with pytest.raises(UsageError, match=told):
        quantize([pool], spec=spec, out=place, images=images)


def test_too_few_images_are_told(spec: ScoreSpec, tmp_path: Path) -> None:
    small = write_pool(tmp_path / "pool", shards=1, images=20)
    with pytest.raises(UsageError, match=r"gives 20 images .* at least 128 are needed"):
        quantize([str(small)], spec=spec, out=str(tmp_path / "t.onnx"))


def test_a_file_teacher_is_refused(pool: str, spec: ScoreSpec, tmp_path: Path) -> None:
    from selector.teachers.onnx_graph import to_float_onnx

    teacher = load_teacher(spec.teacher)
    (tmp_path / "m.onnx").write_bytes(to_float_onnx(teacher))
    box = TeacherSpec(name=f"file:{tmp_path}/m.onnx", preprocessing=teacher.preprocessing.to_dict())
    with pytest.raises(UsageError, match="quantize needs the network"):
        quantize([pool], spec=ScoreSpec(teacher=box), out=str(tmp_path / "t.onnx"))

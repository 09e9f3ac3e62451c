"""`--runtime`: fixed for a run, chosen once by a probe where it is auto, and used afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from cluster.execution import ExecutionConfig
from cluster.verbs.score import score
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.positives import open_extractor
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.load import load_teacher
from selector.teachers.open_runtime import recorded_name, runtime_of
from selector.teachers.probe_runtimes import CANDIDATES, probe_runtimes
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import write_pool, write_teacher

INLINE = ExecutionConfig(executor="inline", threads=1, batch_size=16)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtimes")
    write_pool(folder / "pool", shards=2, images=24)
    write_teacher(folder / "teacher.safetensors")
    return folder / "pool"


def spec_of(pool: Path, runtime: str) -> ScoreSpec:
    weights = str(pool.parent / "teacher.safetensors")
    return ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=weights), runtime=runtime)  # type: ignore[arg-type]  # pydantic checks it


def noise_values(run: Path) -> np.ndarray:
    return read(RunLayout(str(run)), "scores")["noise_value"].to_numpy()


def test_a_probe_measures_what_is_here_and_says_why_the_rest_is_not(pool: Path) -> None:
    teacher = load_teacher(spec_of(pool, "eager").teacher_spec)
    found = probe_runtimes(teacher, device="cpu", batch_size=16, seconds=0.05)
    assert found.images_per_s.keys() | found.left_out.keys() == set(CANDIDATES["cpu"])
    assert found.fastest in found.images_per_s
    assert found.fastest == "eager" or (
        found.images_per_s[found.fastest] > found.images_per_s["eager"]
    )
    assert found.reason.startswith(f"runtime {found.fastest}: ")


def test_auto_is_decided_once_and_kept(pool: Path, tmp_path: Path) -> None:
    run, notes = tmp_path / "run", []
    spec = spec_of(pool, "auto")
    score([str(pool)], spec=spec, out=str(run), execution=INLINE,
          on_progress=lambda progress: notes.append(progress.note))  # fmt: skip
    stored = yaml.safe_load((run / "config.yaml").read_text())["semantic"]["runtime"]
    probe = json.loads((run / "provenance.json").read_text())["runtime_probe"]
    assert recorded_name(probe["fastest"], "cpu") == stored
    assert any(note.startswith(f"runtime {probe['fastest']}: ") for note in notes)
    notes.clear()
    again = score([str(pool)], spec=spec, out=str(run), execution=INLINE,
                  on_progress=lambda progress: notes.append(progress.note))  # fmt: skip
    assert again.parts_done == 0
    assert not any("runtime" in note for note in notes)
    other = "compile" if runtime_of(stored) != "compile" else "eager"
    with pytest.raises(UsageError, match=f'runtime: "{stored}" -> '):
        score([str(pool)], spec=spec_of(pool, other), out=str(run), execution=INLINE)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_scores_and_features_agree_and_are_used_with_the_same_runtime(
    pool: Path, tmp_path: Path, runtime: str
) -> None:
    pytest.importorskip(runtime)
    pytest.importorskip("onnxscript")
    runs = {name: tmp_path / name for name in ("eager", runtime)}
    for name, run in runs.items():
        report = score([str(pool)], spec=spec_of(pool, name), out=str(run), execution=INLINE,
                       features=FeatureSpec())  # fmt: skip
        assert report.rows == 48
    found, expected = noise_values(runs[runtime]), noise_values(runs["eager"])
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert not np.array_equal(found, expected)  # another runtime, not the same one twice
    with open_extractor(str(runs[runtime]), threads=1) as extractor:
        assert extractor.fact.about["runtime"] == f"{runtime}-fp32"
        assert extractor([b"no image"]).status == ["undecodable"]

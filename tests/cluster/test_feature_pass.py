"""Features of a run: with the scores, later, continued, reduced; refused where they cannot be."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from cluster import score
from cluster.execution import ExecutionConfig
from cluster.score_report import ScoreReport
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.tables.facts import find_fact, iter_vectors
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.spec import TeacherSpec
from shards.errors import UsageError
from tests.support.pools import table_hashes, write_pool, write_shard, write_teacher

INLINE = ExecutionConfig(executor="inline", threads=1, batch_size=16)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ScoreSpec:
    weights = write_teacher(tmp_path_factory.mktemp("teacher") / "t.safetensors")
    return ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights)))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pool(tmp_path_factory.mktemp("pool") / "p", shards=2, images=40)


@pytest.fixture(scope="module")
def scored(spec: ScoreSpec, pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "scored"
    score([str(pool)], spec=spec, out=str(run), execution=INLINE)
    return run


@pytest.fixture(scope="module")
def together(spec: ScoreSpec, pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "together"
    add(run, pool, spec)
    return run


def add(run: Path, pool: Path, spec: ScoreSpec, mode: str = "full", **more: object) -> ScoreReport:
    features = FeatureSpec(mode=mode, **more)
    return score([str(pool)], spec=spec, out=str(run), execution=INLINE, features=features)


def matrix(run: Path, which: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(iter_vectors(find_fact(RunLayout(str(run)), "features", which)))
    return (
        np.concatenate([chunk.row_ids for chunk in chunks]),
        np.concatenate([chunk.vectors for chunk in chunks]),
    )


def features_of(report: ScoreReport) -> dict[str, object]:
    assert report.features is not None
    return report.features


def test_with_the_scores_and_later_are_the_same(
    scored: Path, together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    assert table_hashes(scored) == table_hashes(together)
    run = Path(shutil.copytree(scored, tmp_path / "run"))
    report = add(run, pool, spec)
    assert (report.parts_done, report.parts_kept, report.exit_code) == (0, 2, 0)
    assert features_of(report) | {"id": ""} == {
        "id": "", "name": "", "mode": "full", "dim": 112, "explained_variance": None, "parts": 2,
        "stages": [{"name": f"layer{i}", "dim": d} for i, d in ((1, 16), (2, 32), (3, 64))],
        "missing": 0, "null": 0, "clipped": 0, "differ": 0,
    }  # fmt: skip
    assert table_hashes(run) == table_hashes(scored)
    for found, expected in zip(matrix(run), matrix(together), strict=True):
        assert np.array_equal(found, expected)
    rows = read(RunLayout(str(run)), "scores", ["row_id"])["row_id"].to_numpy()
    assert np.array_equal(matrix(run)[0], rows)


def test_nothing_is_done_twice(together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(together, tmp_path / "run"))
    before = sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*.parquet"))
    report = add(run, pool, spec)
    assert report.throughput.images == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*.parquet")) == before
    assert len(list((run / "tables").glob("features-*.json"))) == 1


def test_continues_where_it_was_interrupted(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(together, tmp_path / "run"))
    expected = matrix(run)
    (folder,) = (run / "ledger").glob("features-*")
    sorted(folder.iterdir())[1].unlink()  # killed between the part and its marker
    assert add(run, pool, spec).throughput.images == 40
    shutil.rmtree(folder)
    shutil.rmtree(run / "facts")
    assert add(run, pool, spec).throughput.images == 80
    assert np.array_equal(matrix(run)[1], expected[1])


def test_new_shards_get_both_at_once_and_calls_without_features_are_told(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(together, tmp_path / "run"))
    more = tmp_path / "more"
    shutil.copytree(pool, more)
    grown = [str(pool), str(write_shard(more / "z.tar", images=20, seed=9))]
    plain = score(grown, spec=spec, out=str(run), execution=INLINE)
    (warning,) = plain.warnings
    assert "lack 1 scored parts; add `--features full`" in warning
    grown.append(str(write_shard(more / "zz.tar", images=20, seed=10)))
    features = FeatureSpec()
    report = score(grown, spec=spec, out=str(run), execution=INLINE, features=features)
    assert (report.parts_done, features_of(report)["parts"]) == (1, 4)
    assert report.throughput.images == 40
    rows = read(RunLayout(str(run)), "scores", ["row_id"])["row_id"].to_numpy()
    assert np.array_equal(matrix(run)[0], rows)


def test_components_are_fitted_once_and_kept(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(together, tmp_path / "run"))
    report = add(run, pool, spec, "pca:8", name="small")
    found = features_of(report)
    assert (found["dim"], found["name"], found["parts"]) == (8, "small", 2)
    assert 0.5 < float(str(found["explained_variance"])) <= 1
    assert not list(run.glob(".plan*"))
    rows, reduced = matrix(run, "small")
    full_rows, full = matrix(run, str(find_fact(RunLayout(str(together)), "features").fact_id))
    assert np.array_equal(rows, full_rows)
    assert reduced.shape == (80, 8)
    # Components of a sample that is the whole pool: uncorrelated, in order of falling variance.
    covariance = np.cov(reduced.astype(float).T)
    variance = np.diag(covariance)
    assert (np.diff(variance) < 1e-3 * variance[0]).all()
    assert np.abs(covariance - np.diag(variance)).max() < 1e-2 * variance[0]
    each = full.astype(float).std(0, ddof=1)
    standard = each / np.maximum(each, 0.01 * np.sqrt((each**2).mean()))
    share = variance.sum() / (standard**2).sum()
    assert share == pytest.approx(float(str(found["explained_variance"])), abs=1e-3)
    (basis,) = (run / "facts" / "features").glob("*.pca.safetensors")
    kept = basis.read_bytes()
    grown = [str(pool), str(write_shard(tmp_path / "new.tar", images=20, seed=9))]
    features = FeatureSpec(mode="pca:8")
    again = features_of(score(grown, spec=spec, out=str(run), execution=INLINE, features=features))
    assert (again["id"], again["parts"], basis.read_bytes()) == (found["id"], 3, kept)


def test_components_do_not_depend_on_the_number_of_threads(
    spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    two = ExecutionConfig(executor="inline", threads=3, batch_size=16)
    features = FeatureSpec(mode="pca:4")
    for name, execution in (("one", INLINE), ("two", two)):
        out = str(tmp_path / name)
        score([str(pool)], spec=spec, out=out, execution=execution, features=features)
    bases = [
        next((tmp_path / name / "facts" / "features").glob("*.pca.safetensors")).read_bytes()
        for name in ("one", "two")
    ]
    assert bases[0] == bases[1]
    assert np.array_equal(matrix(tmp_path / "one")[1], matrix(tmp_path / "two")[1])


def test_features_of_another_teacher_are_refused(
    together: Path, pool: Path, tmp_path: Path
) -> None:
    weights = write_teacher(tmp_path / "other.safetensors", num_classes=7)
    other = ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights)))
    with pytest.raises(UsageError, match=r"(?s)another configuration:.*teacher_fingerprint: "):
        add(together, pool, other)


def test_senseless_wishes_are_refused_before_anything_is_computed(
    together: Path, spec: ScoreSpec, pool: Path
) -> None:
    with pytest.raises(UsageError, match="the teacher has 112 features"):
        add(together, pool, spec, "pca:113")
    with pytest.raises(UsageError, match="no module 'stage1'"):
        add(together, pool, spec, taps=("stage1",))
    with pytest.raises(UsageError, match="images: at most 79 components"):
        add(together, pool, spec, "pca:100")
    assert not list(together.glob(".plan*"))


def test_a_name_belongs_to_one_table(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(together, tmp_path / "run"))
    add(run, pool, spec, name="mine")
    assert features_of(add(run, pool, spec))["name"] == "mine"
    with pytest.raises(UsageError, match="features called 'mine' already"):
        add(run, pool, spec, name="mine", taps=("layer3",))


def test_a_mended_shard_loses_its_old_features(spec: ScoreSpec, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    shard = write_shard(pool / "a.tar", images=30, seed=1)
    write_shard(pool / "b.tar", images=20, seed=2)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    run = tmp_path / "run"
    assert add(run, pool, spec).exit_code == 3
    shard.write_bytes(whole)
    # Without features: the old ones of this shard no longer stand beside its new scores.
    score([str(pool)], spec=spec, out=str(run), execution=INLINE)
    assert len(matrix(run)[0]) == 20
    assert add(run, pool, spec).exit_code == 0
    rows = read(RunLayout(str(run)), "scores", ["row_id"])["row_id"].to_numpy()
    assert len(rows) == 50
    assert np.array_equal(matrix(run)[0], rows)


def test_table_says_what_it_is_about(together: Path) -> None:
    fact = find_fact(RunLayout(str(together)), "features")
    assert fact.about["mode"] == "full"
    assert fact.about["taps"] == ["layer1", "layer2", "layer3"]
    listed = json.loads((together / "tables" / "features-1.json").read_text())
    assert listed["fact"]["id"] == fact.fact_id


def test_pieces_of_a_divided_shard_are_aligned(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path
) -> None:
    size = max(path.stat().st_size for path in pool.glob("*.tar"))
    divided = replace(INLINE, split_bytes=-(-size // 2))
    run = tmp_path / "run"
    score([str(pool)], spec=spec, out=str(run), execution=divided)
    report = score([str(pool)], spec=spec, out=str(run), execution=divided, features=FeatureSpec())
    assert features_of(report)["parts"] == len(list((run / "scores").iterdir())) > 2
    for found, expected in zip(matrix(run), matrix(together), strict=True):
        assert np.array_equal(found, expected)


def test_rows_that_were_mended_get_their_features(
    together: Path, spec: ScoreSpec, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = simplejpeg.decode_jpeg

    def decode_some(data: bytes, *args: object) -> np.ndarray:
        if hashlib.md5(bytes(data)).digest()[0] % 2:
            raise MemoryError("no memory for this one")
        return decode(data, *args)

    run, options = tmp_path / "run", {"spec": spec, "execution": INLINE, "max_bad": "100%"}
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decode_some)
    score([str(pool)], out=str(run), features=FeatureSpec(), **options)
    rows, broken = matrix(run)
    assert 10 < (~broken.any(axis=1)).sum() < 70
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decode)
    retried = score([str(pool)], out=str(run), retry_failed=True, **options)
    assert "lack 2 scored parts" in retried.warnings[-1]
    assert np.array_equal(matrix(run)[0], rows)  # those of before, until they are made anew
    score([str(pool)], out=str(run), features=FeatureSpec(), **options)
    assert np.array_equal(matrix(run)[1], matrix(together)[1])


def test_features_are_of_the_teachers_own_view_whatever_the_scores_are_averages_of(
    spec: ScoreSpec, pool: Path, together: Path, tmp_path: Path
) -> None:
    several = spec.model_copy(update={"views": "flip"})
    add(tmp_path / "both", pool, several)
    score([str(pool)], spec=several, out=str(tmp_path / "later"), execution=INLINE)
    before = table_hashes(tmp_path / "later")
    add(tmp_path / "later", pool, several)
    assert before.items() <= table_hashes(tmp_path / "later").items(), "scores stay as they are"
    for run in (tmp_path / "both", tmp_path / "later"):
        fact, known = (
            find_fact(RunLayout(str(run)), "features"),
            find_fact(RunLayout(str(together)), "features"),
        )
        assert fact.fact_id == known.fact_id
        for found, expected in zip(matrix(run), matrix(together), strict=True):
            np.testing.assert_array_equal(found, expected)

"""An index over a feature table: kinds, growth, recall, damage, other teachers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selector.neighbors.build import build_index, even_sample, index_folder
from selector.neighbors.search import read_index
from selector.neighbors.similar import open_index
from selector.neighbors.unit import cosine
from selector.neighbors.workers import workers
from selector.tables.facts import FactTable
from shards.errors import StorageError, UsageError
from tests.selector.neighbors.planted import planted
from tests.support.feature_tables import write_features
from tests.support.runs import SyntheticRun, write_run

pytest.importorskip("faiss", reason="needs the extra `cpu`")

SIZE, DIM = 1500, 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return write_run(tmp_path_factory.mktemp("index") / "run", num_shards=3, per_shard=500)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    found = planted(SIZE, DIM)
    found[0] = 0
    found[700, 3] = np.nan
    return found


@pytest.fixture
def fact(run: SyntheticRun, vectors: np.ndarray) -> FactTable:
    return write_features(run, vectors)


def first_parts(fact: FactTable, number: int) -> FactTable:
    return replace(fact, table=replace(fact.table, parts=fact.table.parts[:number]))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["flat", "ivf-flat", "ivf-pq"])
def test_it_finds_what_is_near(
    run: SyntheticRun, fact: FactTable, vectors: np.ndarray, kind
) -> None:
    card = build_index(run.layout, fact, kind=kind, rebuild=True)
    failed = sum(status != "ok" for status in run.scores["status"].to_pylist())
    assert (card.num_vectors, card.missing, card.unusable) == (SIZE - failed - 2, failed, 2)
    assert card.recall["recall_at_k"] >= 0.95
    opened = open_index(run.layout, fact)
    queries = opened.file.vectors[[5, 900]]
    with workers(2) as pool:
        numbers, near = opened.search(queries, k=10, pool=pool)
    assert numbers[:, 0].tolist() == [5, 900]
    assert (np.diff(near, axis=1) <= 0).all()
    for row, query in enumerate(queries):
        every = cosine(np.repeat(query[None], card.num_vectors, 0), opened.file.vectors[:])
        assert near[row, 1] == np.sort(every)[-2]
    at = {row_id: number for number, row_id in enumerate(run.scores["row_id"].to_pylist())}
    stored = vectors[[at[row_id] for row_id in opened.file.row_ids.tolist()]]
    np.testing.assert_array_equal(opened.file.vectors, stored)


def test_threads_change_no_byte_and_a_second_call_does_nothing(
    run: SyntheticRun, fact: FactTable
) -> None:
    build_index(run.layout, fact, kind="ivf-pq", threads=1, rebuild=True)
    folder = index_folder(run.layout, fact.fact_id)
    one = contents(folder)
    build_index(run.layout, fact, kind="ivf-pq", threads=3, rebuild=True)
    assert contents(folder) == one
    times = [file.stat().st_mtime_ns for file in sorted(folder.iterdir())]
    build_index(run.layout, fact)
    assert [file.stat().st_mtime_ns for file in sorted(folder.iterdir())] == times


@pytest.mark.parametrize("kind", ["flat", "ivf-flat"])
def test_new_parts_are_added_without_a_new_training(
    run: SyntheticRun, fact: FactTable, kind
) -> None:
    small = build_index(run.layout, first_parts(fact, 2), kind=kind, rebuild=True)
    folder = index_folder(run.layout, fact.fact_id)
    before = (folder / "vectors.f16").read_bytes()
    grown = build_index(run.layout, fact)
    assert (folder / "vectors.f16").read_bytes().startswith(before)
    assert grown.num_vectors > small.num_vectors
    assert grown.trained_size == small.trained_size
    assert grown.kind == small.kind
    index = read_index(folder, grown)
    assert index is None or index.ntotal == grown.num_vectors
    # Bytes that a killed call left behind the end are cut off by the next.
    (folder / "vectors.f16").write_bytes(before + b"half a vector")
    card = json.loads((folder / "card.json").read_text())
    card["num_vectors"], card["parts"] = (
        small.num_vectors,
        {
            name: part
            for name, part in card["parts"].items()
            if name.startswith(("00000000", "00000001"))
        },
    )
    (folder / "card.json").write_text(json.dumps(card))
    if kind == "flat":
        assert build_index(run.layout, fact).num_vectors == grown.num_vectors
        assert len((folder / "vectors.f16").read_bytes()) == 2 * DIM * grown.num_vectors


def test_a_table_that_changed_is_read_anew(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=2, per_shard=100)
    fact = write_features(run, planted(200, 4, seed=1))
    build_index(run.layout, fact)
    for part in fact.table.parts:
        Path(part).unlink()
    other = planted(200, 4, seed=2)
    fact = write_features(run, other)
    card = build_index(run.layout, fact)
    vectors = open_index(run.layout, fact).file.vectors
    ok = np.array([status == "ok" for status in run.scores["status"].to_pylist()])
    np.testing.assert_array_equal(vectors, other[ok])
    assert card.num_vectors == ok.sum()


def test_an_index_of_another_teacher_is_refused(run: SyntheticRun, fact: FactTable) -> None:
    build_index(run.layout, fact)
    other = replace(fact, about={**fact.about, "teacher_fingerprint": "other"})
    with pytest.raises(UsageError, match=r"the teacher tttttttttttt, but .* teacher other"):
        build_index(run.layout, other)
    with pytest.raises(UsageError, match="of the teacher other"):
        open_index(run.layout, other)


def test_damage_is_named_with_the_cure(run: SyntheticRun, fact: FactTable) -> None:
    build_index(run.layout, fact, kind="ivf-flat", rebuild=True)
    folder = index_folder(run.layout, fact.fact_id)
    (faiss_file,) = folder.glob("*.faiss")
    whole = faiss_file.read_bytes()
    faiss_file.write_bytes(whole[:100])
    with pytest.raises(StorageError, match=r"is damaged .*neighbors build. again"):
        open_index(run.layout, fact)
    faiss_file.unlink()
    with pytest.raises(StorageError, match="is missing"):
        open_index(run.layout, fact)
    (folder / "card.json").write_text("{")
    with pytest.raises(StorageError, match=r"card.json is damaged"):
        build_index(run.layout, fact)
    build_index(run.layout, fact, rebuild=True)


def test_nothing_to_index_and_too_little_for_lists(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_shards=1, per_shard=50)
    with pytest.raises(UsageError, match=r"none of the 50 rows .* has a usable vector"):
        build_index(run.layout, write_features(run, np.zeros((50, 4)), fact_id="zeros"))
    fact = write_features(run, planted(50, 4))
    with pytest.raises(UsageError, match="an ivf-pq index needs at least 96 usable vectors"):
        build_index(run.layout, fact, kind="ivf-pq")
    assert build_index(run.layout, fact).recall["recall_at_k"] == 1.0


def test_even_samples() -> None:
    assert even_sample(10, 4).tolist() == [0, 2, 5, 7]
    assert even_sample(3, 9).tolist() == [0, 1, 2]
    assert even_sample(0, 9).tolist() == []

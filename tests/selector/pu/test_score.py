from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from selector.pu.classifier import HeadClassifier, read_classifier, write_classifier
from selector.pu.fit import fit_head
from selector.pu.score import score_parts
from selector.pu.settings import make_settings
from selector.tables.facts import find_fact, write_fact_table
from selector.tables.query import query
from shards.errors import UsageError
from tests.support.pu import Pool, add_features, labelled, write_pool

pytestmark = pytest.mark.xdist_group("pu-score")  # one worker makes the fixtures, once


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> HeadClassifier:
    pool = write_pool(tmp_path_factory.mktemp("made") / "run", shards=2, per_shard=100)
    settings = make_settings("default", {"steps": 30, "lr": 0.01})
    return fit_head(pool.features, labelled(60), prior=0.3, settings=settings).classifier


@pytest.fixture
def scored(tmp_path: Path, classifier: HeadClassifier) -> Pool:
    """A run whose first two shards have PU scores by the classifier `one`."""
    pool = write_pool(tmp_path / "run", per_shard=100)
    two_shards = add_features(pool.run, shards=2, per_shard=100, share=0.3)
    write_classifier(pool.layout, "one", classifier)
    parts, made = score_parts(pool.layout, two_shards, classifier, "one")
    assert made == 2
    write_fact_table(pool.layout, "pu", "one", parts, about={"prior": 0.3})
    return pool


def test_scores_are_aligned_row_by_row_and_failed_images_have_none(scored: Pool) -> None:
    table = query(scored.run.root, "SELECT * FROM pu ORDER BY row_id")
    assert table["row_id"].to_pylist() == scored.row_id_N[:200].tolist()
    missing = np.flatnonzero(table["pu_score"].is_null().to_numpy())
    assert missing.tolist() == [i for i in range(200) if i % 20 == 19]
    assert table["pu_prob"].null_count == 10
    score = table["pu_score"].to_numpy()
    truth = scored.positive_N[:200]
    assert np.nanmean(score[truth]) > np.nanmean(score[~truth])
    field = pq.read_schema(find_fact(scored.layout, "pu").table.parts[0]).field("pu_score")
    assert field.metadata[b"direction"] == b"higher"


def test_new_parts_are_scored_and_old_ones_left_alone(scored: Pool) -> None:
    classifier = read_classifier(scored.layout, "one")
    old = Path(find_fact(scored.layout, "pu").table.parts[0])
    before = (old.stat().st_mtime_ns, old.read_bytes())
    three = add_features(scored.run, shards=3, per_shard=100, share=0.3)
    # The first two were written anew, so their etags changed: the same bytes come out.
    parts, _ = score_parts(scored.layout, three, classifier, "one")
    assert len(parts) == 3
    assert old.read_bytes() == before[1]
    times = [Path(part).stat().st_mtime_ns for part in parts]
    assert score_parts(scored.layout, three, classifier, "one") == (parts, 0)
    assert [Path(part).stat().st_mtime_ns for part in parts] == times


def test_nan_is_refused_and_nothing_is_left_of_the_part(scored: Pool) -> None:
    classifier = read_classifier(scored.layout, "one")
    broken = add_features(scored.run, shards=2, per_shard=100, share=0.3, seed=5, broken=True)
    with pytest.raises(UsageError, match="NaN or infinite values in 1 rows"):
        score_parts(scored.layout, broken, classifier, "two")
    names = [path.name for path in Path(scored.run.root).glob("facts/pu/two/*")]
    assert names == ["00000000-00000000.parquet"]

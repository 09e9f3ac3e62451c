"""Made-up features with a known answer: two overlapping clouds, in a run's feature table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.pu.labelled import Labelled
from selector.tables.facts import FactTable, make_fact_id, write_fact_table
from selector.tables.layout import RunLayout, part_name
from selector.tables.schema import fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part
from tests.support.runs import SyntheticRun, write_run

DIM = 12
STAGES = [{"name": "layer1", "dim": 4}, {"name": "layer2", "dim": 8}]


@dataclass(frozen=True)
class Pool:
    """A run with features, and which of its rows are positive (rows in order of row_id)."""

    run: SyntheticRun
    features: FactTable
    positive_N: npt.NDArray[np.bool_]
    row_id_N: npt.NDArray[np.int64]

    @property
    def layout(self) -> RunLayout:
        return self.run.layout


def draw(
    rng: np.random.Generator, positive_N: npt.NDArray[np.bool_], *, gap: float = 3.0
) -> npt.NDArray[np.float16]:
    """(N, DIM) features: unit clouds, positives moved by `gap` in the last stage; uneven scales."""
    rows = rng.normal(size=(len(positive_N), DIM))
    rows[:, 4:8] += gap / 2 * positive_N[:, None]
    return (rows * np.geomspace(0.1, 10, DIM) + 5).astype(np.float16)


def write_pool(
    root: Path,
    *,
    share: float = 0.3,
    shards: int = 3,
    per_shard: int = 400,
    seed: int = 0,
    gap: float = 3.0,
    teacher: str = "t1",
) -> Pool:
    """A run whose feature table holds `share` positives; every 20th image failed."""
    run = write_run(root, num_shards=shards, per_shard=per_shard)
    fact = add_features(
        run, shards=shards, per_shard=per_shard, share=share, seed=seed, gap=gap, teacher=teacher
    )
    positive = np.concatenate([_positive(seed, shard, per_shard, share) for shard in range(shards)])
    rows = np.concatenate([row_id(shard, 0) + np.arange(per_shard) for shard in range(shards)])
    return Pool(run, fact, positive, rows)


def add_features(
    run: SyntheticRun,
    *,
    shards: int,
    per_shard: int,
    share: float,
    seed: int = 0,
    gap: float = 3.0,
    teacher: str = "t1",
    broken: bool = False,
) -> FactTable:
    """Write the feature table of the first `shards` shards."""
    fact_id = make_fact_id({"teacher": teacher})
    schema = fact_schema("features", [vector_column("features", DIM, "made up")])
    parts = []
    for shard in range(shards):
        rng = np.random.default_rng([seed, shard])
        vectors = draw(rng, _positive(seed, shard, per_shard, share), gap=gap)
        if broken and shard == 1:
            vectors[7, 3] = np.nan
        valid = np.arange(per_shard) % 20 != 19
        ids = pa.array(row_id(shard, 0) + np.arange(per_shard))
        table = pa.Table.from_arrays([ids, encode_vectors(vectors, valid)], schema=schema)
        parts.append(run.layout.facts_part("features", fact_id, part_name(shard, 0)))
        write_part(parts[-1], table)
    about = {
        "teacher_fingerprint": teacher,
        "preprocessing_fingerprint": "p",
        "mode": "full",
        "dim": DIM,
        "stages": STAGES,
    }
    return write_fact_table(run.layout, "features", fact_id, parts, about=about)


def labelled(
    num: int = 200, *, seed: int = 99, gap: float = 3.0, num_classes: int = 10
) -> Labelled:
    """Features of `num` labelled images from the positive cloud; one in ten is misclassified."""
    rng = np.random.default_rng(seed)
    label = np.arange(num) % num_classes
    predicted = np.where(np.arange(num) % 10 == 9, (label + 1) % num_classes, label)
    return Labelled(
        keys=[f"few/{i:04d}" for i in range(num)],
        vectors_PD=draw(rng, np.ones(num, bool), gap=gap),
        label_P=label,
        predicted_P=predicted,
        confidence_P=np.full(num, 0.9, np.float32),
        digest=f"{num}-{seed}",
    )


def _positive(seed: int, shard: int, size: int, share: float) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(size, bool)
    chosen[: round(share * size)] = True
    return np.random.default_rng([seed, shard, 1]).permutation(chosen)

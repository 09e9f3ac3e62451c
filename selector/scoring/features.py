"""Features on their way from the model to the table: reduced, checked, in half precision.

Legend: N images of a batch, S stage features, D stored features (S, or the components kept).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.pca import Pca
from selector.scoring.rows import RowBatch
from selector.tables.facts import make_fact_id
from selector.tables.layout import RunLayout
from selector.tables.schema import fact_schema, row_id
from selector.tables.vectors import encode_vectors, vector_column
from selector.teachers.load import Teacher
from selector.teachers.stage_features import Stage
from selector.teachers.taps import Tap, default_taps, parse_taps
from shards import storage

LARGEST = 65_504.0
"""The largest number in half precision; what lies beyond is stored as it."""

KIND = "features"


class FeatureBatch(NamedTuple):
    """Features of a batch as they are stored.

    Attributes:
        values: (N, D) float16.
        valid: (N,) bool; False where a feature is NaN or infinite.
        clipped: (N,) bool; True where a feature exceeded +-65,504.
    """

    values: Tensor
    valid: Tensor
    clipped: Tensor


@dataclass(frozen=True, eq=False)
class FeaturePlan:
    """Which features a run stores. Picklable: it travels to the workers.

    Attributes:
        fact_id: fingerprint of everything that decides the values.
        taps: where they are read.
        stages: slices of the S features, in order.
        about: what the table list says of them.
        pca: the map to D components; None = stored in full.
    """

    fact_id: str
    taps: tuple[Tap, ...]
    stages: tuple[Stage, ...]
    about: dict[str, Any]
    pca: Pca | None = None

    @property
    def dim(self) -> int:
        """D."""
        return sum(s.dim for s in self.stages) if self.pca is None else len(self.pca.components)

    def schema(self) -> pa.Schema:
        """Of one part of the table."""
        text = "averaged stage outputs of the teacher, concatenated"
        if self.pca is not None:
            text = "principal components of the teacher's averaged stage outputs"
        return fact_schema(KIND, [vector_column(KIND, self.dim, text)])


def choose_taps(spec: FeatureSpec, teacher: Teacher) -> tuple[Tap, ...]:
    """The taps that the user names, else those that the teacher's family has.

    Raises:
        UsageError: neither.
    """
    if spec.taps is not None:
        return parse_taps(spec.taps)
    return default_taps(teacher.name, teacher.module)


class DescribedRuntime(Protocol):
    """What a plan says of a runtime: a `Runtime` made with taps, or its description."""

    @property
    def name(self) -> str: ...

    @property
    def stages(self) -> tuple[Stage, ...]: ...


def make_feature_plan(
    teacher: Teacher, runtime: DescribedRuntime, taps: Sequence[Tap], *, pca: Pca | None = None
) -> FeaturePlan:
    """Name the features of a teacher, and say what they are.

    Args:
        runtime: made with `taps`.
    """
    about: dict[str, Any] = {
        "teacher_fingerprint": teacher.fingerprint,
        "preprocessing_fingerprint": teacher.preprocessing.fingerprint(),
        "mode": "full" if pca is None else "pca",
        "dim": sum(s.dim for s in runtime.stages) if pca is None else len(pca.components),
        "taps": [str(tap) for tap in taps],
        "stages": [{"name": stage.name, "dim": stage.dim} for stage in runtime.stages],
        "runtime": runtime.name,
    }
    if pca is not None:
        about["pca"] = {
            "digest": pca.digest,
            "explained_variance": round(pca.explained, 6),
            "sample_rows": pca.rows,
        }
    return FeaturePlan(make_fact_id(about), tuple(taps), runtime.stages, about, pca)


def basis_uri(layout: RunLayout, full: FeaturePlan, dim: int) -> str:
    """Where a run keeps the map to `dim` components of some features."""
    key = make_fact_id({"features": full.fact_id, "pca": dim, "of": "standardised"})
    return storage.join(layout.root, "facts", KIND, f"{key}.pca.safetensors")


class FeatureStore:
    """What a worker does to features of the model, on the model's device.

    Args:
        device: torch device of the features.
    """

    def __init__(self, plan: FeaturePlan, *, device: str) -> None:
        self._mean: Tensor | None = None
        if plan.pca is not None:
            self._mean = torch.from_numpy(plan.pca.mean).to(device)
            self._components_SD = torch.from_numpy(plan.pca.components.T.copy()).to(device)

    def __call__(self, features_NS: Tensor) -> FeatureBatch:
        """(N, S) float32 -> what is stored of them."""
        if self._mean is not None:
            features_NS = (features_NS - self._mean) @ self._components_SD
        return FeatureBatch(
            values=features_NS.clamp(-LARGEST, LARGEST).half(),
            valid=torch.isfinite(features_NS).all(dim=1),
            clipped=(features_NS.abs() > LARGEST).any(dim=1),
        )


def features_table(batches: Sequence[RowBatch], schema: pa.Schema, *, shard_id: int) -> pa.Table:
    """Rows of a part of the features table, aligned with those of the scores; failed ones null."""
    indexes = np.concatenate([np.array([e.index for e in b.entries], np.int64) for b in batches])
    columns = [row_id(shard_id, 0) + indexes, _column(batches, schema.field(KIND))]
    return pa.Table.from_arrays([pa.array(columns[0]), columns[1]], schema=schema)


def _column(batches: Sequence[RowBatch], field: pa.Field) -> pa.Array:
    dim = field.type.byte_width // 2
    values = np.zeros((sum(map(len, batches)), dim), np.float16)
    valid = np.zeros(len(values), bool)
    begin = 0
    for batch in batches:
        end = begin + len(batch)
        if batch.features is not None:
            values[begin:end] = batch.features
            valid[begin:end] = batch.has_features
        begin = end
    return encode_vectors(values, valid)

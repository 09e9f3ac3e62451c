"""Rows in the making: what is known of the images of a batch, and tables made of many batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.scores.noise_value import store_positive
from selector.scores.uncertainty import LogitScores
from selector.tables.schema import members_schema, row_id, scores_schema
from shards.errors import ImageStatus
from shards.sample import SampleEntry

_FLOAT_SCORES = ("max_prob", "noise_value", "entropy", "margin")


@dataclass
class RowBatch:
    """One batch of rows; lists and arrays are aligned, one element per image, in order.

    Decode threads fill disjoint rows of it at the same time.

    Attributes:
        entries: key, index and members.
        status: "ok", or why there are no scores.
        error: text for a row that failed.
        width, height, num_bytes, content_hash, phash: None where unknown.
        scores: name -> (rows,) float64 or int64, set once the teacher has answered.
        features: (rows, D) float16; None where none are asked for, or no image has pixels.
        has_features: (rows,) bool, False where they are null.
    """

    entries: list[SampleEntry] = field(default_factory=list)
    status: list[ImageStatus] = field(default_factory=list)
    error: list[str | None] = field(default_factory=list)
    width: list[int | None] = field(default_factory=list)
    height: list[int | None] = field(default_factory=list)
    num_bytes: list[int | None] = field(default_factory=list)
    content_hash: list[bytes | None] = field(default_factory=list)
    phash: list[int | None] = field(default_factory=list)
    scores: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    features: npt.NDArray[np.float16] | None = None
    has_features: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def extend(self, entries: Sequence[SampleEntry]) -> None:
        """Append rows of which nothing but the entry is known; each is ok until it fails."""
        self.entries += entries
        self.status += ["ok"] * len(entries)
        nothing = [None] * len(entries)
        self.error += nothing
        self.width += nothing
        self.height += nothing
        self.num_bytes += nothing
        self.content_hash += nothing
        self.phash += nothing

    def fail(self, row: int, status: ImageStatus, error: str) -> None:
        """Say why a row has no scores."""
        self.status[row] = status
        self.error[row] = error

    def set_scores(self, scores: LogitScores | None) -> None:
        """Take the scores of a batch, on the host, of which the first len(self) rows count.

        None: no image of the batch has pixels. A row whose logits are not finite fails here: the
        teacher broke down on it.
        """
        if scores is None:
            self.scores = {
                name: np.zeros(len(self), np.int64 if name == "pseudo_label" else np.float64)
                for name in LogitScores._fields
            }
            return
        self.scores = {
            name: values.numpy()[: len(self)]
            for name, values in zip(LogitScores._fields, scores, strict=True)
        }
        sound = np.isfinite(self.scores["noise_value"])
        if sound.all():
            return
        for row in np.flatnonzero(~sound):
            if self.status[row] == "ok":
                self.fail(int(row), "crashed", "the teacher's logits are NaN or infinite")

    def set_features(
        self, values: npt.NDArray[np.float16], valid: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Take the features of a batch, of which the first len(self) rows count.

        Args:
            values: (batch, D).
            valid: (batch,) bool; a row that failed has none either way.

        Returns:
            (rows,) bool, True where the image is sound but its features are not finite.
        """
        sound = np.array([status == "ok" for status in self.status], bool)
        self.features = values[: len(self)]
        self.has_features = sound & valid[: len(self)]
        return sound & ~self.has_features


def scores_table(batches: Sequence[RowBatch], *, shard_id: int, shard_name: str) -> pa.Table:
    """Rows of the scores table, in order."""
    indexes = np.array([entry.index for entry in _all(batches, "entries")], np.int64)
    status = list(_all(batches, "status"))
    failed = np.array([one != "ok" for one in status], bool)
    scores = {
        name: np.concatenate([batch.scores[name] for batch in batches])
        for name in LogitScores._fields
    }
    columns: dict[str, Any] = {
        "row_id": row_id(shard_id, 0) + indexes,
        "shard_id": np.full(len(indexes), shard_id, np.int32),
        "index": indexes.astype(np.int32),
        "key": [entry.key for entry in _all(batches, "entries")],
        "shard": [shard_name] * len(indexes),
        "status": status,
        "pseudo_label": pa.array(scores["pseudo_label"].astype(np.int32), mask=failed),
    }
    for name in ("error", "width", "height", "num_bytes", "content_hash", "phash"):
        columns[name] = list(_all(batches, name))
    for name in _FLOAT_SCORES:
        columns[name] = pa.array(store_positive(scores[name]), mask=failed)
    return _table(columns, scores_schema())


def members_table(batches: Sequence[RowBatch], *, shard_id: int) -> pa.Table:
    """Rows of the member index, in the order of the shard."""
    first = row_id(shard_id, 0)
    found = [
        (first + entry.index, member)
        for entry in _all(batches, "entries")
        for member in entry.members
    ]
    columns = {
        "row_id": [owner for owner, _ in found],
        "name": [member.name for _, member in found],
        "extension": [member.extension for _, member in found],
        "offset": [member.offset for _, member in found],
        "size": [member.size for _, member in found],
    }
    return _table(columns, members_schema())


def _all(batches: Sequence[RowBatch], name: str) -> chain[Any]:
    return chain.from_iterable(getattr(batch, name) for batch in batches)


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field_ in schema:
        values = columns[field_.name]
        if not isinstance(values, pa.Array):
            is_category = pa.types.is_dictionary(field_.type)
            values = pa.array(values, field_.type.value_type if is_category else field_.type)
        arrays.append(values.cast(field_.type))
    return pa.Table.from_arrays(arrays, schema=schema)

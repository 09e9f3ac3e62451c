"""What an export says about the shards it wrote: each sample's weight, and which selection it was.

`coursepack export` puts a lineage.parquet beside its shards, one row per output sample in output
order. Shards without one are as good: all weights are then 1.

Legend: N = images of the index.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distiller.data.image_index import ImageIndex
from shards import storage
from shards.errors import UsageError

FILE_NAME = "lineage.parquet"


@dataclass(frozen=True)
class Lineage:
    """Where a training set comes from.

    Attributes:
        weights_N: (N,) float32 that average 1, or None when all are equal.
        exports: per folder, what its lineage names: folder, run, selection.
        fingerprint: sha256 over the weights of all images.
    """

    weights_N: Tensor | None
    exports: tuple[dict[str, str], ...]
    fingerprint: str


def read_lineage(index: ImageIndex) -> Lineage | None:
    """Lineage of the folders that the shards lie in; None when no folder has any.

    Images of folders without a lineage weigh 1, before all are scaled to average 1.

    Raises:
        UsageError: a lineage does not fit its shards, or holds weights below 0 or all 0.
        StorageError: it cannot be read.
    """
    folders = [info.uri.rpartition("/")[0] for info in index.shards]
    weights_N = np.ones(len(index), dtype=np.float64)
    exports: list[dict[str, str]] = []
    for folder in sorted(set(folders)):
        uri = storage.join(folder, FILE_NAME)
        if not storage.exists(uri):
            continue
        table = pq.read_table(io.BytesIO(storage.read_bytes(uri)))
        metadata = table.schema.metadata or {}
        named = {name: metadata.get(name.encode(), b"").decode() for name in ("run", "selection")}
        exports.append({"folder": folder, **named})
        missing = {"shard", "index", "weight"} - set(table.column_names)
        if missing:
            raise UsageError(
                f"{uri} lacks the columns {sorted(missing)}; remove it to train with equal "
                "weights, or export again"
            )
        weight_of = {
            (shard, position): weight
            for shard, position, weight in zip(
                table["shard"].to_pylist(),
                table["index"].to_pylist(),
                table["weight"].to_pylist(),
                strict=True,
            )
        }
        for shard in (i for i, of in enumerate(folders) if of == folder):
            name = storage.name(index.shards[shard].uri)
            images = (index.shard_N == shard).nonzero()[0]
            try:
                weights_N[images] = [weight_of[name, int(index.sample_N[i])] for i in images]
            except KeyError as error:
                raise UsageError(
                    f"{uri} knows nothing of {name} sample {error.args[0][1]}: the folder holds "
                    "shards of several exports; keep each export in a folder of its own"
                ) from error
    if not exports:
        return None
    return Lineage(
        weights_N=_normalised(weights_N),
        exports=tuple(exports),
        fingerprint=hashlib.sha256(weights_N.tobytes()).hexdigest(),
    )


def _normalised(weights_N: np.ndarray) -> Tensor | None:
    mean = weights_N.mean()
    if not np.isfinite(weights_N).all() or weights_N.min() < 0 or mean == 0:
        raise UsageError(
            f"weights in {FILE_NAME} range from {weights_N.min():g} to {weights_N.max():g}; "
            "expected finite numbers from 0 on, not all 0"
        )
    if (weights_N == weights_N[0]).all():
        return None
    return torch.from_numpy((weights_N / mean).astype(np.float32))

"""Export as a stage: spill what cannot be read by range, then write each output shard.

Both kinds of task write one file atomically, so a file that exists is a task that is done.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.export_plan import read_plan, sample_entry
from cluster.stage import TaskResult
from selector.tables.schema import split_row_id
from shards import atomic, storage
from shards.copy import Pick, assemble, extract
from shards.index import entries_from_table, members_table
from shards.sample import SampleEntry


@dataclass(frozen=True)
class SpillTask:
    """Copy the selected samples of one shard into a plain tar, in one pass over it.

    Attributes:
        rows: URI of a Parquet file with the column row_id: which samples.
        spill: URI of the tar; its member index lies beside it, under the same name + `.parquet`.
    """

    name: str
    num_bytes: int
    source: str
    rows: str
    spill: str

    @property
    def proof(self) -> str:
        """The file whose existence says that this task is done: the last one it writes."""
        return f"{self.spill}.parquet"


@dataclass(frozen=True)
class AssembleTask:
    """Write one output shard.

    Attributes:
        plan: URI of its plan (see `cluster.export_plan`).
        spills: Source URI -> spill URI, for the sources that were spilled.
    """

    name: str
    num_bytes: int
    plan: str
    out: str
    spills: tuple[tuple[str, str], ...]

    @property
    def proof(self) -> str:
        """The file whose existence says that this task is done."""
        return self.out


@dataclass(frozen=True)
class ExportStage:
    """Picklable description; there is nothing heavy to open.

    Attributes:
        image_ext: Which member of a sample is its image: what the content hash is checked on.
    """

    image_ext: tuple[str, ...]
    name: str = "export"

    def open(self) -> ExportWorker:
        return ExportWorker(self.image_ext)


class ExportWorker:
    """An opened `ExportStage`."""

    def __init__(self, image_ext: Sequence[str]) -> None:
        self._image_ext = tuple(image_ext)

    def run(self, task: SpillTask | AssembleTask) -> TaskResult:
        if isinstance(task, SpillTask):
            return _spill(task)
        return _assemble(task, self._image_ext)

    def close(self) -> None:
        _spilled_entries.cache_clear()


def _spill(task: SpillTask) -> TaskResult:
    row_ids = pq.read_table(io.BytesIO(storage.read_bytes(task.rows)))["row_id"].to_numpy()
    shard_ids, indices = split_row_id(row_ids)
    entries = extract(task.source, indices.tolist(), task.spill)
    buffer = io.BytesIO()
    pq.write_table(members_table(entries, int(shard_ids[0])), buffer)
    atomic.write_bytes(task.proof, buffer.getvalue())
    return TaskResult(task.name, (task.spill,), {"images": float(len(entries))})


def _assemble(task: AssembleTask, image_ext: tuple[str, ...]) -> TaskResult:
    spills = dict(task.spills)
    plan = read_plan(task.plan)
    picks = [_pick(row, spills) for row in plan.to_pylist()]
    assemble(task.out, picks, image_ext=image_ext)
    counters = {"images": float(len(picks)), "bytes": float(sum(plan["num_bytes"].to_pylist()))}
    return TaskResult(task.name, (task.out,), counters)


def _pick(row: dict[str, object], spills: dict[str, str]) -> Pick:
    source, output_key, content_hash = row["source"], row["output_key"], row["content_hash"]
    assert isinstance(source, str)
    assert isinstance(output_key, str)
    assert isinstance(content_hash, bytes)
    entry = sample_entry(row)
    if source in spills:
        spill = spills[source]
        return Pick(spill, _spilled_entries(spill)[entry.index], output_key, content_hash)
    return Pick(source, entry, output_key, content_hash)


@lru_cache(maxsize=256)
def _spilled_entries(spill: str) -> dict[int, SampleEntry]:
    """Index in the source shard -> place in the spill."""
    table: pa.Table = pq.read_table(io.BytesIO(storage.read_bytes(f"{spill}.parquet")))
    return {entry.index: entry for entry in entries_from_table(table)}

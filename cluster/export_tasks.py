"""Cutting an export into tasks: which shards are spilled, and what goes into each output shard."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from cluster.export_plan import shuffled, unique_keys, write_plan
from cluster.export_stage import AssembleTask, SpillTask
from shards import storage
from shards.errors import StorageError
from shards.reader import is_compressed

SPILL_SHARE = 0.25
"""A remote shard of which more than this share is wanted is streamed once, not read by range."""


def spill_tasks(parts: Sequence[pa.Table], work: str) -> list[SpillTask]:
    """One task per shard that cannot, or should not, be read sample by sample.

    Raises:
        StorageError: a shard with selected samples is gone.
    """
    by_source: dict[str, list[pa.Table]] = {}
    for part in parts:
        by_source.setdefault(part["source"][0].as_py(), []).append(part)
    tasks: list[SpillTask] = []
    for source, tables in sorted(by_source.items()):
        num_bytes = _size(source, selected=sum(map(len, tables)))
        wanted = sum(sum(table["num_bytes"].to_pylist()) for table in tables)
        dense = not storage.is_local(source) and wanted > SPILL_SHARE * num_bytes
        if not (is_compressed(source) or dense):
            continue
        name = f"{len(tasks):08d}"
        rows = storage.join(work, "plan", f"spill-{name}.parquet")
        write_plan(rows, pa.concat_tables(table.select(["row_id"]) for table in tables))
        spill = storage.join(work, "spill", f"{name}.tar")
        tasks.append(SpillTask(f"spill-{name}", num_bytes, source, rows, spill))
    return tasks


def _size(source: str, *, selected: int) -> int:
    try:
        return storage.stat(source).num_bytes
    except StorageError as error:
        raise StorageError(
            f"{selected:,} selected images lie in a shard that cannot be read: {error}. Put it "
            'back and run the same command again, or select without it: `source: {where: "shard '
            f"<> '{storage.name(source)}'\"}}` in the recipe",
            retriable=error.retriable,
        ) from error


def ordered(parts: Sequence[pa.Table], seed: int) -> pa.Table:
    """All selected samples in output order, with the keys they get."""
    rows = pa.concat_tables(parts).combine_chunks()
    keys = unique_keys(rows["key"].to_pylist(), rows["row_id"].to_pylist())
    rows = rows.set_column(rows.schema.get_field_index("output_key"), "output_key", [keys])
    return rows.take(pa.array(shuffled(len(rows), seed)))


def assemble_tasks(
    rows: pa.Table, work: str, out: str, shard_size: int, spills: tuple[tuple[str, str], ...]
) -> list[AssembleTask]:
    tasks = []
    for number, begin in enumerate(range(0, len(rows), shard_size)):
        chunk = rows.slice(begin, shard_size)
        name = shard_name(number)
        plan = storage.join(work, "plan", f"{name}.parquet")
        write_plan(plan, chunk)
        num_bytes = int(sum(chunk["num_bytes"].to_pylist()))
        tasks.append(AssembleTask(name, num_bytes, plan, storage.join(out, name), spills))
    return tasks


def shard_name(number: int) -> str:
    return f"selected-{number:06d}.tar"

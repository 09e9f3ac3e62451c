"""The score part beside which later facts are put: do the rows of the shard still match it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from selector.scoring.rows import RowBatch
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout, versioned
from selector.tables.read import dataset
from selector.tables.run_files import read_parquet
from selector.tables.schema import row_id
from shards import storage
from shards.errors import StorageError


class ScoredRows:
    """The rows of one score part, to be compared with what comes out of the shard now.

    Attributes:
        stop: index behind the last row of the part.
        crashed: indexes of images that killed a process or broke the teacher: not to be touched.

    Raises:
        StorageError: the part is missing or damaged.
        UsageError: the run has no scores.
    """

    def __init__(self, task: ScoreTask) -> None:
        table = _read(task)
        self._shard = task.shard.uri
        self._next = task.start
        self._start = task.start
        self._keys: Sequence[Any] = table["key"].to_pylist()
        self._hashes: Sequence[Any] = table["content_hash"].to_pylist()
        status = table["status"].cast(pa.string())
        self._status: list[str] = status.to_pylist()
        self.stop = task.start + len(table)
        crashed = table.filter(pc.equal(status, "crashed"))["index"].to_pylist()
        self.crashed = frozenset(crashed)

    def check(self, rows: RowBatch) -> int:
        """Compare a batch, batches in order; returns how many rows have another status now.

        Raises:
            StorageError: other samples, or other bytes, than were scored.
        """
        differ = 0
        for row, entry in enumerate(rows.entries):
            at = self._next - self._start
            self._next += 1
            if at >= len(self._keys) or entry.key != self._keys[at]:
                raise self._changed(f"sample {entry.index} is {entry.key!r} now")
            if rows.content_hash[row] not in (None, self._hashes[at]) and self._hashes[at]:
                raise self._changed(f"the image of {entry.key!r} has other bytes now")
            differ += rows.status[row] != self._status[at]
        return differ

    def finish(self) -> None:
        """Call behind the last batch.

        Raises:
            StorageError: samples are missing now.
        """
        if self._next != self.stop:
            raise self._changed(f"it ends at sample {self._next}, its scores at {self.stop}")

    def _changed(self, what: str) -> StorageError:
        return StorageError(
            f"{storage.name(self._shard)} is another shard than was scored: {what}; put the scored "
            "file back, or score into a new --out",
            retriable=False,
        )


def _read(task: ScoreTask) -> pa.Table:
    """Rows of the task's range: from its part, or from the larger file that took its place."""
    columns = ["index", "key", "status", "content_hash"]
    layout = RunLayout(task.run)
    uri = layout.scores_part(versioned(task.name, task.version))
    if storage.exists(uri):
        cure = "remove its marker from the ledger and run the same score command again"
        return read_parquet(uri, cure=cure, columns=columns)
    shard = task.shard.shard_id
    end = row_id(shard + 1, 0) if task.stop is None else row_id(shard, task.stop)
    wanted = (pc.field("row_id") >= row_id(shard, task.start)) & (pc.field("row_id") < end)
    table = dataset(layout, "scores").to_table(columns=columns, filter=wanted)
    if not len(table):
        raise StorageError(
            f"{uri} is missing, and no listed part has its rows; remove its marker from "
            f"{layout.ledger_dir} and run the same score command again"
        )
    return table

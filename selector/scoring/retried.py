"""Failed rows of a part, done again: a new version of the part in which nothing else has changed.

Every image is run at its own place in its own batch, with the other places empty, so a row that
succeeds now has the very bits that it would have had the first time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc

from selector.scoring.rows import RowBatch, scores_table
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout, versioned
from selector.tables.run_files import read_parquet
from selector.tables.schema import STATUSES, scores_schema
from selector.tables.write import conform, write_part
from shards import storage
from shards.errors import StorageError


class RetriedRows:
    """The old rows of a part, and a writer that replaces the failed ones among them.

    Attributes:
        only: indexes of the failed rows.
        stop: index behind the last row of the part.
        paths: the new version; empty when every row failed again in the same way.
        wait_s, work_s: as of `PartWriter`.

    Raises:
        StorageError: the part is missing or damaged.
    """

    def __init__(self, task: ScoreTask) -> None:
        layout = RunLayout(task.run)
        cure = "remove its marker from the ledger and run the same score command again"
        table = read_parquet(layout.scores_part(versioned(task.name, task.version)), cure=cure)
        self._old = conform(table, scores_schema())
        failed = pc.not_equal(self._old["status"].cast(pa.string()), "ok")
        self.only = frozenset(self._old.filter(failed)["index"].to_pylist())
        self.stop = task.start + len(table)
        self.paths: tuple[str, ...] = ()
        self.wait_s = self.work_s = 0.0
        self._task = task
        self._uri = layout.scores_part(versioned(task.name, task.version + 1))
        self._next = 0
        self._fresh: list[pa.Table] = []
        self._new = self._old

    def __enter__(self) -> RetriedRows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        begin = perf_counter()
        if self._next != len(self._old):
            raise self._changed(f"it has {self._next} samples there now, {len(self._old)} then")
        if self._fresh:
            self._new = self._merged(pa.concat_tables(self._fresh))
        if not _plain(self._new).equals(_plain(self._old)):
            write_part(self._uri, self._new)
            self.paths = (self._uri,)
        self.work_s = self.wait_s = perf_counter() - begin

    def put(self, rows: RowBatch) -> None:
        """Take the rows of a batch, batches in order.

        Raises:
            StorageError: other samples than were scored.
        """
        begin = self._next
        self._next += len(rows)
        if [entry.key for entry in rows.entries] != self._keys(begin, self._next):
            raise self._changed(f"samples {begin} to {self._next} have other keys now")
        wanted = [entry.index in self.only for entry in rows.entries]
        if any(wanted):
            shard = self._task.shard
            table = scores_table(
                [rows], shard_id=shard.shard_id, shard_name=storage.name(shard.uri)
            )
            self._fresh.append(table.filter(pa.array(wanted)))

    def counters(self) -> dict[str, float]:
        """What this try did: images, failed, status_<each status>, of the rows that were redone."""
        again = self._new.filter(
            pc.is_in(self._new["index"], pa.array(sorted(self.only), pa.int32()))
        )
        return _count(again)

    def totals(self) -> dict[str, float]:
        """The same of all rows of the new version."""
        return _count(self._new)

    def _keys(self, begin: int, end: int) -> Sequence[str]:
        keys: list[str] = self._old["key"].slice(begin, end - begin).to_pylist()
        return keys

    def _merged(self, fresh: pa.Table) -> pa.Table:
        place = {index: len(self._old) + at for at, index in enumerate(fresh["index"].to_pylist())}
        order = [place.get(index, at) for at, index in enumerate(self._old["index"].to_pylist())]
        both = pa.concat_tables([self._old, fresh], promote_options="permissive")
        return conform(both.take(pa.array(order, pa.int64())), scores_schema())

    def _changed(self, what: str) -> StorageError:
        return StorageError(
            f"{self._task.shard.uri} is another shard than was scored ({what}); put the scored one "
            "back, or score the pool into a new --out"
        )


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries, which tell how a table was put together."""
    types = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(types))


def _count(table: pa.Table) -> dict[str, float]:
    found = Counter(table["status"].to_pylist())
    sizes = pc.sum(table["num_bytes"]).as_py() or 0
    counts = {f"status_{status}": float(found.get(status, 0)) for status in STATUSES}
    failed = len(table) - found.get("ok", 0)
    return {"images": float(len(table)), "failed": float(failed), "bytes": float(sizes), **counts}

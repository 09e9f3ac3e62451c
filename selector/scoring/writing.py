"""The writer thread: rows of finished batches into the Parquet files of a part."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType

import pyarrow as pa

from selector.scoring.features import KIND, FeaturePlan, features_table
from selector.scoring.rows import RowBatch, members_table, scores_table
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout, versioned
from selector.tables.schema import members_schema, scores_schema
from selector.tables.write import open_part, rows_per_group
from shards import storage

_ROWS_PER_TABLE = 1024
"""Rows in the making are Python objects, ten times the size of the same rows in Arrow."""

_BATCHES_WAITING = 8


class _Abandoned(Exception):
    """Raised inside the open files so that they vanish."""


@dataclass(frozen=True)
class PartFile:
    """One file of a part: where, of what columns, and how rows become a table."""

    uri: str
    schema: pa.Schema
    make: Callable[[Sequence[RowBatch]], pa.Table]


def part_files(task: ScoreTask, features: FeaturePlan | None) -> list[PartFile]:
    """The files that a task writes: scores and members, features where there is a plan."""
    layout, shard_id = RunLayout(task.run), task.shard.shard_id
    shard_name = storage.name(task.shard.uri)
    files = []
    if not task.facts_only:
        files += [
            PartFile(
                layout.scores_part(task.name),
                scores_schema(),
                lambda rows: scores_table(rows, shard_id=shard_id, shard_name=shard_name),
            ),
            PartFile(
                layout.members_part(task.name),
                members_schema(),
                lambda rows: members_table(rows, shard_id=shard_id),
            ),
        ]
    if features is not None:
        schema = features.schema()
        files.append(
            PartFile(
                layout.facts_part(KIND, features.fact_id, versioned(task.name, task.version)),
                schema,
                lambda rows: features_table(rows, schema, shard_id=shard_id),
            )
        )
    return files


class PartWriter:
    """Writes a part beside the model; its files appear on a clean exit, none otherwise.

    Attributes:
        paths: the files: scores, members, features, as far as they are written.
        wait_s: seconds that `put` and the exit waited.
        work_s: seconds that the thread worked.
    """

    def __init__(self, task: ScoreTask, features: FeaturePlan | None = None) -> None:
        self._files = part_files(task, features)
        # Rows of wide vectors are handed over sooner: a row group's worth is held at most.
        groups = (rows_per_group(file.schema) for file in self._files)
        self._rows_per_table = min(_ROWS_PER_TABLE, *groups)
        self.paths = tuple(file.uri for file in self._files)
        self.wait_s = 0.0
        self.work_s = 0.0
        self._shard_name = storage.name(task.shard.uri)
        self._queue: queue.Queue[RowBatch | None] = queue.Queue(_BATCHES_WAITING)
        self._abandoned = False
        self._ended = False
        self._next_index = task.start
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="part-writer", daemon=True)

    def __enter__(self) -> PartWriter:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        begin = perf_counter()
        self._abandoned = kind is not None
        self._queue.put(None)
        self._thread.join()
        self.wait_s += perf_counter() - begin
        if kind is None and self._failure is not None:
            raise self._failure

    def put(self, rows: RowBatch) -> None:
        """Hand rows over, in order.

        Raises:
            StorageError: the files cannot be written.
        """
        begin = perf_counter()
        self._queue.put(rows)
        self.wait_s += perf_counter() - begin
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._write()
        except _Abandoned:
            return
        except BaseException as error:
            # The one who puts rows raises it; until it notices, rows are taken and dropped.
            self._failure = error
            while not self._ended:
                self._ended = self._queue.get() is None

    def _check_order(self, rows: RowBatch) -> None:
        """Every sample once and in order, whatever the threads in front of this one did."""
        expected = range(self._next_index, self._next_index + len(rows))
        if [entry.index for entry in rows.entries] != list(expected):
            raise RuntimeError(
                f"rows of {self._shard_name} came out of order at {self._next_index}; this is a "
                "bug of coursepack, nothing was written for this part"
            )
        self._next_index = expected.stop

    def _write(self) -> None:
        waiting: list[RowBatch] = []
        num_waiting = 0
        with ExitStack() as stack:
            appends = [
                (stack.enter_context(open_part(file.uri, file.schema)), file.make)
                for file in self._files
            ]
            while True:
                rows = self._queue.get()
                self._ended = rows is None
                begin = perf_counter()
                if rows is not None:
                    self._check_order(rows)
                    waiting.append(rows)
                    num_waiting += len(rows)
                if waiting and (rows is None or num_waiting >= self._rows_per_table):
                    for append, make in appends:
                        append(make(waiting))
                    waiting, num_waiting = [], 0
                if rows is None:
                    if self._abandoned:
                        raise _Abandoned
                    finish = begin
                    break
                self.work_s += perf_counter() - begin
        self.work_s += perf_counter() - finish

"""The writer thread: rows of finished batches into the two Parquet files of a part."""

from __future__ import annotations

import queue
import threading
from time import perf_counter
from types import TracebackType

from selector.scoring.rows import RowBatch, members_table, scores_table
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout
from selector.tables.schema import members_schema, scores_schema
from selector.tables.write import open_part
from shards import storage

_ROWS_PER_TABLE = 8192
_BATCHES_WAITING = 8


class _Abandoned(Exception):
    """Raised inside the open files so that they vanish."""


class PartWriter:
    """Writes a part beside the model; both files appear on a clean exit, neither otherwise.

    Attributes:
        paths: the two files.
        wait_s: seconds that `put` and the exit waited.
        work_s: seconds that the thread worked.
    """

    def __init__(self, task: ScoreTask) -> None:
        layout = RunLayout(task.run)
        self.paths = (layout.scores_part(task.name), layout.members_part(task.name))
        self.wait_s = 0.0
        self.work_s = 0.0
        self._shard_id = task.shard.shard_id
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
        with (
            open_part(self.paths[0], scores_schema()) as append_scores,
            open_part(self.paths[1], members_schema()) as append_members,
        ):
            while True:
                rows = self._queue.get()
                self._ended = rows is None
                begin = perf_counter()
                if rows is not None:
                    self._check_order(rows)
                    waiting.append(rows)
                if waiting and (rows is None or sum(map(len, waiting)) >= _ROWS_PER_TABLE):
                    append_scores(
                        scores_table(waiting, shard_id=self._shard_id, shard_name=self._shard_name)
                    )
                    append_members(members_table(waiting, shard_id=self._shard_id))
                    waiting = []
                if rows is None:
                    if self._abandoned:
                        raise _Abandoned
                    finish = begin
                    break
                self.work_s += perf_counter() - begin
        self.work_s += perf_counter() - finish

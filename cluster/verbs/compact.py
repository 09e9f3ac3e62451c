"""`compact`: many small parts of a run's tables into files of about a million rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cluster.ledger import Ledger
from cluster.out_folder import refuse_no_folder
from cluster.progress import OnProgress, Progress
from cluster.run_lock import RunLock
from selector.tables.compact import ROWS_PER_FILE, compact_tables
from selector.tables.layout import RunLayout
from selector.tables.read import newest_versions, read_table_list
from shards.errors import UsageError


@dataclass(frozen=True)
class CompactReport:
    """What compacting a run did.

    Attributes:
        files_before, files_after: Files of all its tables that a query may have to open.
        written: Files made by this call; 0 if there was nothing to do.
        parts: Parts that were copied into them.
    """

    run: str
    files_before: int
    files_after: int
    written: int
    parts: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def compact(
    run: str, *, rows: int = ROWS_PER_FILE, on_progress: OnProgress | None = None
) -> CompactReport:
    """Put small parts of scores, members and facts together; rows and their order stay.

    The parts stay too: scoring goes on with them, and new shards are added beside the compacted
    files. Calling it again compacts what is new. Interrupted, it goes on with the next file.

    Args:
        run: Run directory.
        rows: Of a file, at least; parts of half as many rows stay as they are.

    Raises:
        UsageError: no run with tables.
        RunLocked: a driver works on this run.
        StorageError: a part cannot be read, or nothing can be written there.
    """
    started = time.monotonic()
    layout = RunLayout(run)
    if rows < 1:
        raise UsageError(f"--rows is {rows}; it must be at least 1")
    refuse_no_folder(layout.root)
    if "scores" not in newest_versions(layout):
        read_table_list(layout, "scores")  # tells what is missing

    def on_part(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress(done, total, unit="parts"))

    with RunLock(layout.lock):
        markers = Ledger(layout.ledger_dir).listing()
        sources = {part: marker.file_name for part, marker in markers.items()}
        done = compact_tables(layout, sources, rows_per_file=rows, on_part=on_part)
    return CompactReport(
        run=layout.root,
        files_before=done.files_before,
        files_after=done.files_after,
        written=done.written,
        parts=done.parts,
        seconds=round(time.monotonic() - started, 3),
    )

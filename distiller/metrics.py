"""The run's diary: metrics.jsonl, one line per record, and TensorBoard beside it when installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from shards import atomic
from shards.errors import StorageError


class _Writer(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


class Log(Protocol):
    """What records can be written to."""

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None: ...


class MetricsLog:
    """Appends records to OUT/metrics.jsonl and, when it is installed, to OUT/tensorboard/.

    A record has `step` (updates done), `kind` (train or eval) and figures by name. A resumed run
    first takes back what was written after its checkpoint, so no step is told twice.

    Args:
        folder: of the run.
        step: updates done; later records are removed from the file.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        self._path = folder / "metrics.jsonl"
        try:
            truncate_metrics(self._path, step=step)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written ({error.strerror})") from error
        self._board = _open_tensorboard(folder / "tensorboard", step=step)

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Append one record; it is in the file when this returns."""
        record = {"step": step, "kind": kind, **values}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"{self._path}: cannot be written ({error.strerror}); free space, then run the "
                "same command again"
            ) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All records in order; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def truncate_metrics(path: Path, *, step: int) -> None:
    """Remove the records of later steps, and a line cut short, in one atomic replacement."""
    if path.exists():
        kept = [record for record in read_metrics(path) if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        if text != path.read_text(encoding="utf-8"):
            atomic.write_bytes(str(path), text.encode())


def _open_tensorboard(folder: Path, *, step: int) -> _Writer | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # purge_step hides what a killed run wrote after its checkpoint.
    writer: _Writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    return writer

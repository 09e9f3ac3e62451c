"""Checkpoints: a file that is there whole or not at all, the last two kept, tensors and no code.

A checkpoint is one `torch.save` archive of tensors and plain values, loaded with
`weights_only=True`, so a file from elsewhere cannot run anything.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from shards import atomic
from shards.errors import CoursepackError

KEEP = 2
"""How many are kept: the newest, and one in case the newest turns out unreadable."""

_NAME = re.compile(r"step-(\d{8,})\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after `step` updates, then remove all but the last two checkpoints.

    Raises:
        StorageError: the folder cannot be written, or the disk is full.
    """
    path = folder / f"step-{step:08d}.pt"
    # Through memory: torch's own writer turns the reason of a failed write, such as a full disk,
    # into an error about positions.
    archive = io.BytesIO()
    torch.save({"step": step, **state}, archive)
    with atomic.new_file(str(path)) as file:
        file.write(archive.getbuffer())
    for _, old in checkpoints(folder)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def load_newest_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest readable checkpoint, with a warning for each newer one that is not.

    Returns:
        (state with its "step", warnings), or (None, []) when there is no checkpoint.

    Raises:
        CoursepackError: there are checkpoints and none can be read.
    """
    warnings: list[str] = []
    found = checkpoints(folder)
    for _, path in reversed(found):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            warnings.append(f"checkpoint {path} cannot be read ({reason}); using the one before")
            continue
        return state, warnings
    if found:
        raise CoursepackError(
            f"{folder}: no checkpoint can be read ({'; '.join(warnings)}); remove the folder to "
            "start over"
        )
    return None, []


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of every checkpoint in the folder, oldest first."""
    if not folder.is_dir():
        return []
    named = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match.group(1)), path) for match, path in named if match)

"""Images that kill whoever decodes them, in processes that have `disturbed` on their path."""

from __future__ import annotations

import os
from pathlib import Path

DISTURBED = Path(__file__).parent / "disturbed"

ROOT = Path(__file__).parents[2]


def python_path() -> str:
    """PYTHONPATH of a process to which such an image is lethal."""
    return os.pathsep.join([str(DISTURBED), str(ROOT), os.environ.get("PYTHONPATH", "")])


def lethal_jpeg(jpeg: bytes, how: str) -> bytes:
    """A sound JPEG with a comment in it; `how` is SEGV, EXIT or HANG."""
    comment = f"LETHAL-{how}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]

"""Images that kill whoever decodes them, in processes that have `disturbed` on their path."""

from __future__ import annotations

import io
import os
import tarfile
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


def poison(shard: Path, how: dict[int, str]) -> None:
    """Make some images of a tar of `write_shard` lethal: index -> SEGV, EXIT or HANG."""
    with tarfile.open(shard) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    pictures = [at for at, (info, _) in enumerate(members) if info.name.endswith(".jpg")]
    for index, kind in how.items():
        info, data = members[pictures[index]]
        members[pictures[index]] = (info, lethal_jpeg(data, kind))
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

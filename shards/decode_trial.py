"""Decoding an image in a process that may die of it.

After a worker was lost while it decoded some images, each of them is tried here first: a decoder
that crashes, is killed for the memory it asks for, or never ends then takes nobody with it. The
process loads what decoding needs and nothing else, and serves one image after another.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import BinaryIO, Literal

from shards.decode_pillow import Orientation
from shards.limits import DEFAULT_LIMITS, DecodeLimits

TRIES = 2
"""A trial process can also be killed for no fault of the image; hardly twice at the same one."""

LIMIT_S = 60
"""Seconds that one image may be decoded for."""

_SURVIVED = b"k"


class DecodeTrial:
    """Tries images one by one; safe to share between threads, which then wait for each other.

    Args:
        channels, limits, orientation, least: as for `shards.decode.decode_picture`.
    """

    def __init__(
        self,
        *,
        channels: Literal[1, 3] = 3,
        limits: DecodeLimits = DEFAULT_LIMITS,
        orientation: Orientation = "exif",
        least: tuple[int, int] | None = None,
    ) -> None:
        self._options = json.dumps(
            {
                "channels": channels,
                "limits": asdict(limits),
                "orientation": orientation,
                "least": least,
            }
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def verdict(self, data: bytes | memoryview) -> str | None:
        """Why decoding `data` is fatal; None if it is not, whether it yields pixels or an error."""
        with self._lock:
            for _ in range(TRIES):
                if self._survives(data):
                    return None
                reason = self._bury()
            return f"decoding this image {reason}"

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._bury()

    def _survives(self, data: bytes | memoryview) -> bool:
        if self._process is None:
            self._process = self._start()
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        try:
            into.write(len(data).to_bytes(8, "little"))
            into.write(data)
            into.flush()
        except BrokenPipeError:
            return False
        return out.read(1) == _SURVIVED

    def _start(self) -> subprocess.Popen[bytes]:
        python_path = os.pathsep.join(path or os.getcwd() for path in sys.path)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "shards.decode_trial", self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": python_path},
        )

    def _bury(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        code = process.wait()
        if code == -signal.SIGALRM:
            return f"does not end within {LIMIT_S} s"
        return f"kills the process (signal {-code})" if code < 0 else f"ends the process ({code})"


def serve(images: BinaryIO, replies: BinaryIO, options: dict[str, object]) -> None:
    """Body of the trial process: decode what comes, tell that it was survived."""
    from shards.decode import decode_picture
    from shards.errors import ImageError

    limits = DecodeLimits(**options.pop("limits"))  # type: ignore[arg-type]
    while len(head := images.read(8)) == 8:
        data = images.read(int.from_bytes(head, "little"))
        # The kernel ends this process, also where a decoder never comes back to Python.
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        with suppress(ImageError, Exception):  # an error is survived: the worker meets it as well
            decode_picture(data, limits=limits, **options)  # type: ignore[arg-type]
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(_SURVIVED)
        replies.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders that print must not be taken for replies
    serve(sys.stdin.buffer, replies, json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()

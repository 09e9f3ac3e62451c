"""The demo's commands: run through the real command line, and kept for the user to repeat."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shards.errors import CoursepackError


class Shell:
    """Runs `coursepack ...` in this process and remembers what it ran.

    One process saves the seconds that importing torch takes each time; everything else is what
    the same words do in a terminal.

    Args:
        transcript: File that receives each command, ready to be repeated from the same folder.
        announce: Called with each command before it runs.
    """

    def __init__(self, transcript: Path, announce: Callable[[str], None]) -> None:
        self._transcript = transcript
        self._announce = announce
        transcript.write_text("#!/bin/sh -e\n")

    def run(self, *arguments: object) -> dict[str, Any]:
        """Run one command and return what it prints with --json.

        Raises:
            CoursepackError: it ended with another exit code than 0.
        """
        # Imported here: the command line imports the demo, not the other way round at load time.
        from cluster.cli.main import app
        from cluster.cli.output import INTERRUPTED

        words = [str(argument) for argument in arguments]
        command = shlex.join(["coursepack", *words])
        self._announce(command)
        with self._transcript.open("a") as file:
            file.write(command + "\n")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = app([*words, "--json"], prog_name="coursepack", standalone_mode=False)
        result: dict[str, Any] = json.loads(printed.getvalue())
        if code == INTERRUPTED:  # Ctrl-C is for the demo as a whole, not a failure of one command
            raise KeyboardInterrupt
        if code or result["exit_code"]:
            reason = result.get("error", {}).get("message", f"exit code {result['exit_code']}")
            raise CoursepackError(f"`{command}` failed: {reason}")
        return result

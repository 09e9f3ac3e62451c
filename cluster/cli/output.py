"""What a verb says and with which code it ends: results on stdout, all else on stderr.

Every command body runs inside `command`, so that all verbs answer alike::

    with command("report", as_json=as_json, debug=debug) as out:
        from cluster.verbs.report import report as run   # heavy imports belong here
        path = run(...)
        out.finish({"report": path}, text=[f"report: {path}"])
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from cluster.cli import progress
from cluster.cli.plain import to_json, to_plain
from cluster.cli.text import printable
from cluster.progress import OnProgress

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERRUPTED = 130


class Output:
    """Where one command writes.

    Attributes:
        as_json: Exactly one JSON object goes to standard output, at the end.
        exit_code: What the command will end with; set by `finish`.
    """

    def __init__(self, verb: str, *, as_json: bool, stdout: TextIO, stderr: TextIO) -> None:
        self.as_json = as_json
        self.exit_code = 0
        self.stdout = stdout
        self._verb = verb
        self._stderr = stderr
        self._finished = False

    def progress(self) -> AbstractContextManager[OnProgress]:
        """The `on_progress` function of a verb: a bar, plain lines, or nothing with --json."""
        return progress.show(self._verb, self._stderr, quiet=self.as_json)

    def say(self, message: str) -> None:
        """A line for the reader, on standard error."""
        print(printable(message), file=self._stderr, flush=True)

    def finish(
        self, result: Any, *, text: Sequence[str | RenderableType], exit_code: int = 0
    ) -> None:
        """Tell the result: `result` with --json, else `text`.

        Args:
            result: A mapping, dataclass or model; its fields become those of the JSON object,
                beside `exit_code`.
            text: Lines (strings are printed as they are, without markup) and rich tables.
            exit_code: 0, or 3 where the verb finished with a part of the work undone.
        """
        self.exit_code = exit_code
        if self.as_json:
            self._print_json(to_plain(result))
            return
        for part in text:
            self._print(part)
        self.stdout.flush()

    def fail(self, error: BaseException, message: str, *, exit_code: int) -> None:
        """Tell an error: one message on standard error, and with --json an object as well."""
        from shards.credentials import without_credentials

        self.exit_code = exit_code
        self.stdout.flush()
        # Whoever quotes a URI in a message may quote what must not be told.
        print(without_credentials(printable(message)), file=self._stderr, flush=True)
        if self.as_json:
            told = without_credentials(str(error))
            self._print_json({"error": {"type": type(error).__name__, "message": told}})

    def _print_json(self, content: Mapping[str, Any]) -> None:
        if self._finished:  # an interrupt after the result: the first object stays the only one
            return
        self._finished = True
        print(to_json({"exit_code": self.exit_code, **content}), file=self.stdout, flush=True)

    def _print(self, part: str | RenderableType) -> None:
        if isinstance(part, str):
            print(printable(part), file=self.stdout)
            return
        from rich.console import Console

        # A pipe has no width: a table that goes into one must not be folded to 80 columns.
        width = None if self.stdout.isatty() else 10_000
        Console(file=self.stdout, width=width, highlight=False).print(part)


@contextmanager
def command(verb: str, *, as_json: bool, debug: bool, continues: bool = False) -> Iterator[Output]:
    """Run a command body; turn its errors into messages and its end into an exit code.

    What libraries print goes to standard error, so that standard output holds the result alone.

    Args:
        debug: Show tracebacks.
        continues: The verb resumes when called again, which an interrupted user wants to know.

    Raises:
        typer.Exit: with the code of the verb: 0 done, 1 failed, 2 wrong use, 3 finished with a
            part undone, 130 interrupted.
    """
    from shards.errors import CoursepackError

    out = Output(verb, as_json=as_json, stdout=sys.stdout, stderr=sys.stderr)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield out
    except (typer.Exit, BrokenPipeError):
        raise  # typer ends a closed pipe (`| head`) quietly
    except CoursepackError as error:
        if debug:
            traceback.print_exc()
        out.fail(error, f"error: {error}", exit_code=error.exit_code)
    except KeyboardInterrupt as error:
        if debug:
            traceback.print_exc()
        again = (
            "the same command continues"
            if continues
            else "nothing half-done is left behind; run the same command again"
        )
        out.fail(error, f"interrupted; {again}", exit_code=INTERRUPTED)
    except OSError as error:  # a full disk, a missing permission: trouble of the place, no bug
        if debug:
            traceback.print_exc()
        out.fail(error, f"error: {error} (COURSEPACK_DEBUG=1 shows where)", exit_code=1)
    except Exception as error:  # the last resort: a bug must not look like a user's mistake
        out.fail(error, _internal_error(error, debug=debug), exit_code=1)
    if out.exit_code:
        raise typer.Exit(out.exit_code)


def _internal_error(error: Exception, *, debug: bool) -> str:
    from shards.credentials import without_credentials

    summary = f"internal error: {type(error).__name__}: {error}"
    full = traceback.format_exc()
    if debug:
        return f"{full}\n{summary}"
    try:
        handle, path = tempfile.mkstemp(prefix="coursepack-error-", suffix=".txt")
        with os.fdopen(handle, "w", errors="backslashreplace") as file:
            file.write(without_credentials(f"{' '.join(sys.argv)}\n\n{full}"))
    except OSError:  # no room even for this: better a long message than a lost one
        return f"{full}\n{summary}"
    return f"{summary}\nThis is a bug in coursepack. The full traceback is in {path}"

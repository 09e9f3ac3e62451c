"""The command line inside this process: exit code and messages, without a new Python each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from cluster.cli.main import app


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        exit_code: 0 done, 1 failed, 2 wrong use, 3 finished with a part undone.
        output, errors: standard output and standard error.
    """

    exit_code: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        """The answer of a command that was given --json."""
        content: dict[str, Any] = json.loads(self.output)
        return content


def coursepack(*arguments: object) -> Answer:
    """Run `coursepack ARGUMENTS...`; whatever the input is, it must not look like a bug."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    for text in (result.stdout, result.stderr):
        assert "internal error" not in text, text
    assert "Traceback" not in result.stderr, result.stderr
    return Answer(result.exit_code, result.stdout, result.stderr)


def score(pool: object, weights: object, run: object, *more: object) -> Answer:
    """Score `pool` with he/resnet8 into `run`, in this process; the answer is JSON."""
    return coursepack(
        "score", pool, "--teacher", "he/resnet8", "--weights", weights, "--out", run,
        "--set", "execution.executor=inline", "--threads", 1, "--batch-size", 8, "--json", *more,
    )  # fmt: skip


def rows(run: object, sql: str) -> list[dict[str, Any]]:
    """The answer of `coursepack query`."""
    answer = coursepack("query", run, sql, "--json")
    assert answer.exit_code == 0, answer.errors
    found: list[dict[str, Any]] = answer.json["rows"]
    return found

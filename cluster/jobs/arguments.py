"""The verb inside a job: is it one, and do its arguments mean there what they mean here?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards import storage
from shards.credentials import refuse_credentials
from shards.errors import UsageError

PATHS = frozenset({"POOL", "RUN", "DIR", "FILE", "PLACE", "CONFIG.yaml"})
"""What `--help` calls an argument that is a path or URI."""

PATHS_OR_NAMES = frozenset({"SOURCE", "FILE|NAME"})
"""The same, of arguments that may be a name of coursepack's own instead."""

NOT_AS_JOB = frozenset({"submit", "jobs", "demo", "status", "runs"})
"""What runs here, or asks the cluster from here."""


@dataclass(frozen=True)
class JobVerb:
    """A checked command line of a job.

    Attributes:
        words: The verb and its arguments, as they will run.
        notes: What was added or is worth knowing.
    """

    words: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_verb(words: Sequence[str], *, shipped: Path | None = None) -> JobVerb:
    """Check the words after `--`: the verb, its options, its paths, and that no secret is in them.

    Args:
        words: Such as `["score", "s3://bucket/pool", "--teacher", ...]`; a leading `coursepack` is
            taken as what it is.
        shipped: The folder that will be the job's working directory, if any: inputs may lie there.

    Raises:
        UsageError: no verb, a wrong option, a relative path, a secret in a URI.
    """
    words = [*words[1:]] if words[:1] == ["coursepack"] else list(words)
    for word in words:
        for piece in word.split(","):
            refuse_credentials(piece)
    command, rest = _find_command(words)
    params = _parse(command, words, rest)
    for param in command.params:
        value = params.get(param.name)
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, str):
                _refuse_relative(param, path, shipped)
    if "address" in params and params.get("executor") is None and params["address"] is None:
        if params.get("config"):
            return JobVerb(tuple(words))  # the file may say where to run
        return JobVerb(
            (*words, "--address", "auto"),
            ("added --address auto: the verb spreads over the cluster that the job runs in",),
        )
    return JobVerb(tuple(words))


def _find_command(words: Sequence[str]) -> tuple[Any, list[str]]:
    import typer.main

    from cluster.cli.main import app

    command, rest = typer.main.get_command(app), list(words)
    if not rest or rest[0] in NOT_AS_JOB or rest[0].startswith("-"):
        told = f"{rest[0]} does not run as a job" if rest else "no verb given"
        raise UsageError(
            f"{told}; expected a verb after --, such as: coursepack submit -- score s3://bucket/p "
            "--teacher ... --out s3://bucket/run"
        )
    while hasattr(command, "commands"):
        known = command.commands
        if not rest or rest[0] not in known:
            raise UsageError(
                f"coursepack has no verb {rest[0] if rest else ''!r}; it has {', '.join(known)}"
            )
        command = known[rest.pop(0)]
    return command, rest


def _parse(command: Any, words: Sequence[str], rest: list[str]) -> dict[str, Any]:
    try:
        context = command.make_context(" ".join(words[:1]), list(rest), resilient_parsing=False)
    except Exception as error:
        # The option parser's own errors alone can show themselves; see cluster/cli/main.py.
        if not hasattr(error, "format_message"):
            raise
        raise UsageError(f"{words[0]}: {error.format_message()}") from error
    return dict(context.params)


def _refuse_relative(param: Any, value: str, shipped: Path | None) -> None:
    path = _path_in(param, value)
    if path is None or not storage.is_local(path) or path.startswith(("/", "~")):
        return
    if param.name == "out":
        raise UsageError(
            f"--out {path} is a relative path: in a job it would lie in a folder of its own that "
            "Ray deletes afterwards; give an absolute path on shared storage, or a URI"
        )
    if shipped is not None and (shipped / path).exists():
        return
    absolute = Path(path).absolute()
    here = f" ({absolute} here, if the cluster mounts it too)" if absolute.exists() else ""
    raise UsageError(
        f"{path} is a relative path, and a job starts in a folder of its own; give an absolute "
        f"path on shared storage{here} or a URI, or --working-dir with a folder that holds it"
    )


def _path_in(param: Any, value: str) -> str | None:
    """The path that an argument names, None if it names none."""
    if param.name == "teacher":
        kind, _, path = value.partition(":")
        return path if kind == "file" else None
    if param.metavar in PATHS:
        return value
    looks_like_one = "/" in value or Path(value).suffix in (".yaml", ".yml") or Path(value).exists()
    return value if param.metavar in PATHS_OR_NAMES and looks_like_one else None

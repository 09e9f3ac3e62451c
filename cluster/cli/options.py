"""Options that several verbs share: one spelling, one help text, one meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on stdout; everything else to stderr."),
]

Debug = Annotated[
    bool,
    typer.Option("--debug", envvar="COURSEPACK_DEBUG", help="Show tracebacks of errors."),
]

Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Folder or URI of a run made by `coursepack score`."),
]

_POOL = typer.Argument(
    metavar="POOL",
    help="Shards: folders, .tar files, globs, brace patterns; local, s3://, gs:// or http(s).",
)

Pool = Annotated[list[str], _POOL]

PoolOrConfig = Annotated[list[str] | None, _POOL]
"""A pool that a configuration file may name instead."""

OutPool = Annotated[
    str,
    typer.Option("--out", metavar="POOL", help="Folder to write the shards to."),
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace shards that are there already.")
]

MaxBad = Annotated[
    str,
    typer.Option(
        "--max-bad", metavar="N|SHARE", help="Images that may be left out: a count or a share."
    ),
]

ExecutorName = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        "--executor", metavar="local|ray", help="Where to run; ray if an address is given."
    ),
]

Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="Ray cluster: auto or host:port."),
]

Actors = Annotated[
    int | None,
    typer.Option(
        "--actors", metavar="N", min=1, help="Workers; one per GPU, or as many as cores allow."
    ),
]

Teacher = Annotated[
    str | None,
    typer.Option(
        "--teacher", metavar="NAME", help="Network, e.g. he/resnet20, timm/NAME, file:m.onnx."
    ),
]

Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="FILE", help="Weights: .safetensors, .pt, .pth or .npz."),
]

ClassNames = Annotated[
    str | None,
    typer.Option("--class-names", metavar="FILE", help="Names of the classes, one a line."),
]

MovedWeights = Annotated[
    str | None,
    typer.Option("--weights", metavar="FILE", help="The teacher's weights, if moved."),
]

WorkerThreads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="Threads per worker.")
]

BatchSize = Annotated[
    int | None, typer.Option("--batch-size", metavar="N", help="Images per forward pass.")
]

Device = Annotated[
    str | None,
    typer.Option("--device", metavar="cpu|cuda", help="Device; cuda where there is one."),
]

ScoreFile = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="YAML file of score; options win over it."),
]

TableName = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Name of the table, beside its id.")
]

Runtime = Annotated[
    Literal["auto", "eager", "compile", "onnxruntime", "openvino", "openvino-bf16"] | None,
    typer.Option(
        "--runtime", help="How the network is run; auto = the fastest here, by a short probe."
    ),
]

Views = Annotated[
    Literal["one", "flip", "five", "ten"] | None,
    typer.Option(
        "--views", help="Average over these views of an image; each costs a forward pass."
    ),
]

Decode = Annotated[
    Literal["exact", "fast"] | None,
    typer.Option(
        "--decode",
        help="exact, or fast: large JPEGs are decoded to fewer pixels; for photographs.",
    ),
]

Selection = Annotated[
    str,
    typer.Option(
        "--selection", metavar="NAME", help="Name of a selection made by `coursepack select`."
    ),
]

Memory = Annotated[
    str,
    typer.Option(
        "--memory", metavar="SIZE", help="What SQL may hold in memory; beyond it, disk is used."
    ),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override one field, e.g. teacher.num_classes=10; repeatable.",
    ),
]

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Let a py:package.module:builder teacher run its code. Never allowed from a file.",
    ),
]


def example(*commands: str) -> str:
    """The epilog of a command: runnable lines, one paragraph each, safe from rich markup."""
    lines = "\n\n".join(f"$ {command}" for command in commands)
    return "Example:\n\n" + lines.replace("[", r"\[")


def require(given: Mapping[str, Any]) -> None:
    """A missing option by the name it has here, not by its path in a file nobody wrote."""
    from shards.errors import UsageError

    missing = [name for name, value in given.items() if not value]
    if missing:
        raise UsageError(f"missing: {', '.join(missing)}; give them, or a --config that has them")

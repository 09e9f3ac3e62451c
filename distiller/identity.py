"""Whether a run that is found on disk is the run that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shards.errors import UsageError

if TYPE_CHECKING:
    from distiller.config import DistillConfig

FREE_FIELDS = frozenset(
    {
        "recipe",
        "out",
        "device",
        "threads",
        "workers",
        "compile",
        "export",
        "eval_every",
        "checkpoint_every",
        "log_every",
        "targets.folder",
        "data.train",
        "data.labelled",
        "data.eval",
        "data.memory_bytes",
        "data.max_bad",
        "teacher.weights",
        "teacher.allow_code",
        "teacher.class_names",
    }
)
"""Fields that may change between a run and its continuation, because they decide nothing, or
because what they name is compared by its content (teacher, training data)."""


def run_identity(
    config: DistillConfig, *, teacher: str | None, data: str, weights: str | None
) -> dict[str, Any]:
    """What decides the result: field paths with their values, and fingerprints of the inputs.

    Args:
        config: of the run.
        teacher: the teacher's fingerprint.
        data: the training data's fingerprint.
        weights: the fingerprint of the images' weights, None where there is no lineage.
    """
    fields = {
        path: value
        for path, value in _flatten(config.model_dump(mode="json"))
        if path not in FREE_FIELDS
    }
    return {
        **fields,
        "teacher fingerprint": teacher,
        "training data fingerprint": data,
        "sample weights fingerprint": weights,
    }


def check_same_run(found: Mapping[str, Any], asked: Mapping[str, Any], *, where: str) -> None:
    """Return when both identities are equal.

    Raises:
        UsageError: listing each field that differs, with both values.
    """
    lines = differences(found, asked)
    if lines:
        raise UsageError(
            f"{where} holds a run with another configuration:\n" + "\n".join(lines) + "\n"
            "Give another `out`, or restore these to continue that run"
        )


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """A line of text for each name that has not the same value in both."""
    return [
        f"  {name}: {found.get(name)!r} there, {asked.get(name)!r} now"
        for name in sorted(found.keys() | asked.keys())
        if found.get(name) != asked.get(name)
    ]


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner

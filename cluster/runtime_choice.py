"""`--runtime auto`: which runtime a run uses, found once by a short probe and kept from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.batch_size import default_batch_size
from cluster.execution import ExecutionConfig, choose_device
from cluster.runs import read_config
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.teachers.load import Teacher
from selector.teachers.open_runtime import runtime_of
from selector.teachers.probe_runtimes import ProbedRuntimes, probe_runtimes
from shards.errors import UsageError


@dataclass(frozen=True)
class RuntimeChoice:
    """What was chosen.

    Attributes:
        spec: with a runtime, no longer `auto`.
        device: that it runs on.
        facts: for the run's provenance: what the probe measured, if there was one.
    """

    spec: ScoreSpec
    device: str
    facts: dict[str, Any] = field(default_factory=dict)


def choose_runtime(
    spec: ScoreSpec,
    teacher: Teacher,
    layout: RunLayout | None,
    *,
    execution: Mapping[str, Any],
    say: Callable[[str], None],
) -> RuntimeChoice:
    """The runtime of a run: the one asked for; for `auto` its stored one, else the fastest here.

    Args:
        teacher: on the CPU.
        layout: of the run; None = there is none.
        execution: device and batch size as asked for; None = stored, or chosen.
        say: told what the probe found.

    Raises:
        UsageError: `auto` for a GPU that this machine does not have; a stored runtime that this
            version does not know.
    """
    stored = None if layout is None else read_config(layout)
    kept: Mapping[str, Any] = {} if stored is None else stored["execution"]
    device = execution.get("device") or kept.get("device") or choose_device(ExecutionConfig())
    if spec.runtime != "auto":
        return RuntimeChoice(spec, device)
    if stored is not None:
        try:
            name = runtime_of(stored["semantic"]["runtime"])
        except ValueError as error:
            raise UsageError(f"{error}; use the coursepack that made the run") from error
        return RuntimeChoice(spec.model_copy(update={"runtime": name}), device)
    if device != "cpu" and not _is_here(device):
        raise UsageError(
            f"--runtime auto measures on this machine, which has no {device}: say --runtime eager "
            "or compile, or start the command on a machine that has one"
        )
    say("measuring runtimes for --runtime auto")
    batch_size = execution.get("batch_size") or default_batch_size(teacher.preprocessing, device)
    found = probe_runtimes(teacher, device=device, batch_size=batch_size)
    say(found.reason)
    chosen = spec.model_copy(update={"runtime": found.fastest})
    return RuntimeChoice(chosen, device, {"runtime_probe": _plain(found)})


def _is_here(device: str) -> bool:
    import torch

    return device.startswith("cuda") and torch.cuda.is_available()


def _plain(found: ProbedRuntimes) -> dict[str, Any]:
    return {
        "fastest": found.fastest,
        "images_per_s": {name: round(rate, 1) for name, rate in found.images_per_s.items()},
        "left_out": found.left_out,
    }

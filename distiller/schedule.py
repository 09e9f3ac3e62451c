"""The learning rate as a pure function of the step: nothing to save, nothing to get out of step."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from distiller.options import Options


class ScheduleOptions(Options):
    """How the learning rate moves over the run, in steps (not epochs)."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    """constant; step: times `gamma` at each milestone; cosine: half a cosine down to `final`."""

    milestones: tuple[float, ...] = ()
    """Step only: ascending. Below 1 = a share of all steps, from 1 on = a step number."""

    gamma: float = Field(default=0.1, gt=0)
    """Step only: what each milestone multiplies the rate by."""

    final: float = Field(default=0.0, ge=0, le=1)
    """Cosine only: share of the initial rate that is left at the end."""

    warmup_steps: int = Field(default=0, ge=0)
    """The first steps rise linearly: step k (from 0) has (k + 1) / (warmup + 1) of the rate."""

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(m <= 0 for m in milestones) or list(milestones) != sorted(milestones):
            raise ValueError(f"{list(milestones)}: expected numbers above 0 in ascending order")
        return milestones

    @model_validator(mode="after")
    def _fits_kind(self) -> ScheduleOptions:
        if (self.kind == "step") != bool(self.milestones):
            raise ValueError(
                f"kind {self.kind!r} with milestones {list(self.milestones)}: "
                "give milestones with kind step, and with no other"
            )
        return self


def learning_rate_factor(step: int, *, steps: int, options: ScheduleOptions) -> float:
    """What the initial learning rate is multiplied by for the update number `step`.

    Args:
        step: 0 for the first update, up to steps - 1.
        steps: updates of the whole run.

    Returns:
        A factor >= 0. Warm-up multiplies the schedule, which itself counts from step 0.

    Raises:
        ValueError: step is outside [0, steps).
    """
    if not 0 <= step < steps:
        raise ValueError(f"step {step} is outside [0, {steps})")
    if options.kind == "step":
        passed = sum(step >= _milestone_step(m, steps) for m in options.milestones)
        factor = options.gamma**passed
    elif options.kind == "cosine":
        wave = (1 + math.cos(math.pi * step / steps)) / 2
        factor = options.final + (1 - options.final) * wave
    else:
        factor = 1.0
    if step < options.warmup_steps:
        factor *= (step + 1) / (options.warmup_steps + 1)
    return factor


def _milestone_step(milestone: float, steps: int) -> int:
    return round(milestone * steps) if milestone < 1 else round(milestone)

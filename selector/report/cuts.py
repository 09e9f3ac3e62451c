"""Where a selection ended on the noise-value axis, read from what it stored of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_RANKED = "lowest noise_value"
_THRESHOLD = re.compile(r"take noise_value <= (\S+)")


@dataclass(frozen=True)
class Cut:
    """Noise value of the last image kept: one number, or a range of them, one per class.

    Attributes:
        low, high: the smallest and the largest of them, nats.
        num_groups: how many classes have a cut of their own; 1 for a single cut.
    """

    low: float
    high: float
    num_groups: int


def noise_cut(steps: Sequence[Mapping[str, Any]]) -> Cut | None:
    """The cut of the last step that takes the lowest noise values.

    Args:
        steps: `steps` of a selection's stats.json, combined steps with their `parts`.

    Returns:
        None where no step ranks by noise value: a random draw has no cut.
    """
    found = [cut for step in _flattened(steps) if (cut := _cut_of(step)) is not None]
    return found[-1] if found else None


def _flattened(steps: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        yield step
        yield from _flattened(step.get("parts", ()))


def _cut_of(step: Mapping[str, Any]) -> Cut | None:
    label = str(step.get("label", ""))
    if threshold := _THRESHOLD.fullmatch(label):
        return Cut(float(threshold[1]), float(threshold[1]), 1)
    values = [float(cut["value"]) for cut in step.get("cuts", ()) if "value" in cut]
    if _RANKED not in label or not values:
        return None
    return Cut(min(values), max(values), len(values))

"""The explicit list of scores: unit, range and direction of each column that ranks images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Score:
    """What a score column means.

    Attributes:
        unit: unit of the stored number, "1" for a pure ratio.
        range: interval of possible values, as text; C is the number of classes.
        direction: which end a selection wants: `lower` or `higher` is better.
        description: one line for tables, reports and help.
    """

    unit: str
    range: str
    direction: Literal["lower", "higher"]
    description: str


SCORES: dict[str, Score] = {
    "noise_value": Score(
        unit="nat",
        range="[0, log C]",
        direction="lower",
        description="-log max_c p_c: divergence of the teacher's answer from its own one-hot label",
    ),
    "max_prob": Score(
        unit="1",
        range="[1/C, 1]",
        direction="higher",
        description="largest class probability of the teacher",
    ),
    "entropy": Score(
        unit="nat",
        range="[0, log C]",
        direction="lower",
        description="entropy of the teacher's class probabilities",
    ),
    "margin": Score(
        unit="1",
        range="[0, 1]",
        direction="higher",
        description="largest minus second largest class probability of the teacher",
    ),
}
"""Every score that the scores table stores, by column name."""

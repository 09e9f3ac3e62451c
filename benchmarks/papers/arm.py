"""What an arm of a table is: which images, which loss, which view, which training."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Images = Literal["selection", "pool", "real", "labelled"]

FIRST_FIELDS = frozenset({"images", "recipe", "objective", "changes", "share"})
"""Hashed whatever they are. Fields that came later are left out while they say nothing, so that
results on file keep their hashes."""

NOISY: dict[str, Any] = {
    "kind": "noisy",
    "temperature": 4.0,
    "transition": {"mode": "learned", "init": "pool_diagonal"},
}
"""DFND's loss; `transition.pool` is filled in by the runner: Q starts from the whole pool."""


@dataclass(frozen=True)
class Arm:
    """One row of a table.

    Attributes:
        name: what results are filed under.
        title: as the table says it.
        images: a selection of the pool, the whole pool, the teacher's own kind of images, or the
            few labelled ones alone.
        recipe: for a selection: the recipe, with the number of images as "{n}" and a per-class
            number as "{per_class}" wherever an integer may stand; "{seed}" is the run's seed,
            "{pu_score}" the column of the arm's PU fit, "{leakage}" its table of leaked images.
        objective: of the distillation.
        changes: further fields of the distill config, over the track's; "{store}" is a folder for
            replayed targets, "{usual_n}" the track's number of images, "{steps_x2}" and
            "{steps_x3}" multiples of the usual steps.
        share: of the track's number of images that is selected.
        labelled: images of every class that are labelled, drawn by the seed: the positives of a PU
            fit, and trained on beside the selection. 0 = nobody labelled any.
        facts: tables that the recipe reads and that scoring does not make: "pu" {prior}, "truth",
            "duplicates" {grade}, "leakage" {grades} against the images that are tested on.
        scoring: fields of the ScoreSpec by which the pool is scored, where they are not the usual
            ones; "{most_views}" is ten views of an image, five where a mirror image is another.
    """

    name: str
    title: str
    images: Images = "selection"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    objective: Mapping[str, Any] = field(default_factory=lambda: NOISY)
    changes: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    labelled: int = 0
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scoring: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs_seeded_selection(self) -> bool:
        """Whether another seed selects other images."""
        return "{seed}" in json.dumps(self.recipe) or "pu" in self.facts


@dataclass(frozen=True)
class Table:
    """Rows that are compared with each other: the same number of samples seen, the same seeds."""

    name: str
    title: str
    arms: tuple[Arm, ...]


def of_track(arm: Arm, true_share: float | None) -> Arm:
    """`arm` with "{share_x2}" and the like as twice the pool's true share, or as "auto"."""
    texts = re.findall(r"{share_x([\d.]+)}", json.dumps(arm.facts))
    shares = {
        f"share_x{text}": "auto"
        if true_share is None
        else min(round(float(text) * true_share, 4), 0.9)
        for text in texts
    }
    return replace(arm, facts=fill(arm.facts, shares))


def fill(value: Any, numbers: Mapping[str, Any]) -> Any:
    """`value` with every text "{name}" replaced by the number, or whatever has that name."""
    if isinstance(value, Mapping):
        return {key: fill(item, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, numbers) for item in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return numbers[value[1:-1]]
    return value


def arm_hash(arm: Arm, settings: Mapping[str, Any]) -> str:
    """Names a result: 12 hex digits over what decides it, whatever a table calls the arm."""
    nothing = asdict(Arm("", "", objective={}))
    content = {
        name: value
        for name, value in asdict(arm).items()
        if name in FIRST_FIELDS or value != nothing[name]
    }
    content |= {"name": "", "title": "", "settings": settings}
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""What an arm of a table is: which images, which loss, which view, which training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Images = Literal["selection", "pool", "real"]

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
        images: a selection of the pool, the whole pool, or the teacher's own kind of images.
        recipe: for a selection: the recipe, with the number of images as "{n}" and a per-class
            number as "{per_class}" wherever an integer may stand; "{seed}" is the run's seed.
        objective: of the distillation.
        changes: further fields of the distill config, over the track's; "{store}" is a folder for
            replayed targets, "{usual_n}" the track's number of images.
        share: of the track's number of images that is selected.
    """

    name: str
    title: str
    images: Images = "selection"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    objective: Mapping[str, Any] = field(default_factory=lambda: NOISY)
    changes: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0

    @property
    def needs_seeded_selection(self) -> bool:
        """Whether another seed selects other images."""
        return "{seed}" in json.dumps(self.recipe)


@dataclass(frozen=True)
class Table:
    """Rows that are compared with each other: the same number of samples seen, the same seeds."""

    name: str
    title: str
    arms: tuple[Arm, ...]


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
    content = {**asdict(arm), "name": "", "title": "", "settings": settings}
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

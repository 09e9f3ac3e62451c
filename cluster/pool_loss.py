"""What building or resizing a pool left out, and whether that is still a success."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.bad_budget import BadBudget
from shards.sample import DAMAGE_KINDS, IMAGE_EXTENSIONS, Problem

_LEFT_OUT = frozenset(
    {"no_image", "undecodable", "unsupported", "too_large", "read_error", "left_out"}
)
_DAMAGED = DAMAGE_KINDS | {"unreadable_shard", "not_a_shard"}


@dataclass(frozen=True)
class PoolLoss:
    """What the output lacks.

    Attributes:
        images: Images that were left out, each with a problem that says why.
        shards: Problems of whole shards, behind which any number of images may be missing.
    """

    images: int
    shards: int

    def exit_code(self, *, written: int, budget: BadBudget) -> int:
        """3 when a shard is damaged or more images are missing than `budget` allows, else 0."""
        return 3 if self.shards or not budget.allows(self.images, written + self.images) else 0


def pool_loss(problems: Iterable[Problem]) -> PoolLoss:
    """Count losses; a file that never claimed to be an image (a README) is none."""
    images = shards = 0
    for problem in problems:
        extension = problem.member.rpartition(".")[2].lower()
        if problem.kind in _DAMAGED:
            shards += 1
        elif problem.kind == "not_an_image":
            images += extension in IMAGE_EXTENSIONS
        else:
            images += problem.kind in _LEFT_OUT
    return PoolLoss(images, shards)

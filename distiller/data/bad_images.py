"""Which images could not be used, why, and when there are too many to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shards.errors import CoursepackError


class BadImages:
    """Unusable samples of a set, held against a budget.

    Args:
        num_samples: samples of the set, unusable ones included.
        max_bad: below 1 a share of the samples, from 1 on a count.
        examples: samples that are known to be unusable, for the message.

    Attributes:
        status_of: image number -> why it cannot be used, for each one met so far.
    """

    def __init__(self, num_samples: int, *, max_bad: float, examples: Sequence[str] = ()) -> None:
        self.num_samples = num_samples
        self.max_bad = max_bad
        self.status_of: dict[int, str] = {}
        self._without_image: Counter[str] = Counter()
        self._examples: list[str] = list(examples)

    def add_samples(self, status: str, count: int) -> None:
        """Count samples that have no image number because they have no usable image."""
        self._without_image[status] += count

    def add_image(self, image: int, status: str, *, example: str) -> None:
        """Count one image; each counts once, however often it is met.

        Args:
            image: its number in the set.
            status: why it cannot be used, in one word.
            example: which one and why, for the message.
        """
        if image not in self.status_of:
            self.status_of[image] = status
            if len(self._examples) < 3:
                self._examples.append(example)

    @property
    def counts(self) -> Counter[str]:
        """Unusable samples met so far, by status."""
        return self._without_image + Counter(self.status_of.values())

    @property
    def allowed(self) -> float:
        """How many unusable samples are put up with."""
        return self.max_bad * self.num_samples if self.max_bad < 1 else self.max_bad

    def check(self) -> None:
        """Raise when the budget is exceeded.

        Raises:
            CoursepackError: with the counts, the first examples and what to do.
        """
        total = self._without_image.total() + len(self.status_of)
        if total <= self.allowed:
            return
        by_status = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items()))
        examples = f" First: {'; '.join(self._examples)}." if self._examples else ""
        raise CoursepackError(
            f"{total} of {self.num_samples} samples are unusable ({by_status}), more than "
            f"data.max_bad = {self.max_bad:g} allows.{examples} Repair the shards "
            "(`coursepack shards verify` lists what is wrong) or raise data.max_bad"
        )

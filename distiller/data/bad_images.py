"""How many images could not be used, why, and when there are too many to go on."""

from __future__ import annotations

from collections import Counter

from shards.errors import CoursepackError


class BadImages:
    """Counts of unusable samples by status, held against a budget.

    Args:
        num_samples: samples of the set, unusable ones included.
        max_bad: below 1 a share of the samples, from 1 on a count.
        example_limit: how many are remembered with their reason, for the message.
    """

    def __init__(self, num_samples: int, *, max_bad: float, example_limit: int = 3) -> None:
        self.num_samples = num_samples
        self.max_bad = max_bad
        self.counts: Counter[str] = Counter()
        self.examples: list[str] = []
        self._example_limit = example_limit

    def add(self, status: str, count: int = 1, *, example: str | None = None) -> None:
        """Count unusable samples; `example` says which one and why."""
        self.counts[status] += count
        if example is not None and len(self.examples) < self._example_limit:
            self.examples.append(example)

    @property
    def allowed(self) -> float:
        """How many unusable samples are put up with."""
        return self.max_bad * self.num_samples if self.max_bad < 1 else self.max_bad

    def check(self) -> None:
        """Raise when the budget is exceeded.

        Raises:
            CoursepackError: with the counts, the first examples and what to do.
        """
        total = self.counts.total()
        if total > self.allowed:
            by_status = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items()))
            raise CoursepackError(
                f"{total} of {self.num_samples} samples are unusable ({by_status}), more than "
                f"data.max_bad = {self.max_bad:g} allows. First: {'; '.join(self.examples)}. "
                "Repair the shards (`coursepack shards verify` lists what is wrong) or raise "
                "data.max_bad"
            )

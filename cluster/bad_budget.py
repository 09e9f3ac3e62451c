"""How many failed images a run may hold before it is no success."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from shards.errors import UsageError


@dataclass(frozen=True)
class BadBudget:
    """How many failed images a run may hold before it is no success: a count or a share."""

    count: int | None = None
    share: float | None = None

    @staticmethod
    def parse(text: str) -> BadBudget:
        """`"5%"`, `"0.05"` or `"200"`.

        Raises:
            UsageError: for anything else.
        """
        with contextlib.suppress(ValueError):
            if text.endswith("%"):
                return BadBudget(share=_share(float(text[:-1]) / 100, text))
            if "." in text:
                return BadBudget(share=_share(float(text), text))
            if int(text) >= 0:
                return BadBudget(count=int(text))
        raise UsageError(
            f"--max-bad {text!r}: expected a share like 5% or 0.05, or a count like 200"
        )

    def allows(self, bad: int, total: int) -> bool:
        if self.count is not None:
            return bad <= self.count
        return bad <= (self.share or 0.0) * total

    def __str__(self) -> str:
        return f"{self.count} images" if self.count is not None else f"{100 * (self.share or 0):g}%"


def _share(value: float, text: str) -> float:
    if not 0 <= value <= 1:
        raise UsageError(f"--max-bad {text!r}: a share lies between 0% and 100%")
    return value

"""What is found in shards, as lines for eyes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shards.sample import Problem

MAX_PROBLEMS_SHOWN = 20
"""The rest is counted; --json has them all."""


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """The first problems one by one; --json has them all."""
    lines = [f"{problem.kind}: {_where(problem)}" for problem in problems[:MAX_PROBLEMS_SHOWN]]
    if len(problems) > MAX_PROBLEMS_SHOWN:
        lines.append(f"... and {len(problems) - MAX_PROBLEMS_SHOWN:,} more; --json lists all")
    return lines


def _where(problem: Problem) -> str:
    if problem.shard in problem.detail:  # an error's own message, which names the shard
        return problem.detail
    member = f" {problem.member}" if problem.member else ""
    return f"{problem.shard}{member}: {problem.detail}"


def fact_lines(found: dict[str, Any]) -> list[str]:
    """One line for each fact, names aligned."""
    width = max(map(len, found))
    return [f"{name.replace('_', ' '):<{width}}  {_fact(value)}" for name, value in found.items()]


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(entry)}" for name, entry in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int | float) else str(value)

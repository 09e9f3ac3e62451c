"""When a run is going wrong: pure rules that stop it before it has wasted everybody's time.

The budget of failed images is looked at again, exactly, at the end of every run: small runs, and
those that go wrong late, are told there.
"""

from __future__ import annotations

from cluster.bad_budget import BadBudget
from shards.errors import CoursepackError

MIN_IMAGES = 1000
"""Before so many are seen, no share means anything."""

MIN_QUARANTINED = 10

_HOPELESS = 0.5


class BudgetExceeded(CoursepackError):
    """A run that was stopped because too much of it fails. What is done stays done."""

    exit_code = 3


def check_images(
    budget: BadBudget, *, failed: int, seen: int, bytes_done: float, bytes_total: float
) -> None:
    """Stop a run whose failed images are too many already, or that fails mostly.

    Args:
        failed, seen: Images of this call.
        bytes_done, bytes_total: Shard bytes, from which the images still to come are estimated.

    Raises:
        BudgetExceeded: more failed than the budget allows even if all the rest were good; or more
            than half of what was seen, where the budget allows less.
    """
    if seen < MIN_IMAGES or not failed:
        return
    expected = seen * max(1.0, bytes_total / bytes_done) if bytes_done else float(seen)
    beyond = not budget.allows(failed, round(expected))
    mostly = failed > _HOPELESS * seen and not budget.allows(failed, seen)
    if beyond or mostly:
        raise BudgetExceeded(
            f"{failed:,} of the first {seen:,} images failed, and --max-bad is {budget}: stopped "
            "early. What is scored is in the tables; see why images fail, then mend the pool, or "
            "run the same command with a larger --max-bad to go on"
        )


def check_parts(*, quarantined: int, ended: int) -> None:
    """Stop a run of which whole shards fail, one after the other.

    Raises:
        BudgetExceeded: at least ten, and more than half of those that ended, are quarantined.
    """
    if quarantined >= MIN_QUARANTINED and quarantined > _HOPELESS * ended:
        raise BudgetExceeded(
            f"{quarantined:,} of the first {ended:,} parts are quarantined: stopped early. See "
            "the reasons above and in the quarantine folder of the run; the same command goes on"
        )

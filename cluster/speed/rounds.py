"""The rounds of a bench: every limit and the engine, one right after the other, several times."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence

from cluster.speed.figures import Figure
from cluster.speed.limits import Rate
from cluster.speed.report import make_limits
from cluster.speed.stations import PHASES, Phase, Stations

_LIMITS = tuple(phase for phase in PHASES if phase != "engine")


def measure(
    stations: Stations, *, rounds: int, cores: int, gpu: bool, on_round: Callable[[int], None]
) -> tuple[dict[str, Figure], Figure]:
    """Limits and engine, after a round that does not count.

    The engine goes first in every other round: what a neighbour on the machine does then favours
    neither.

    Args:
        cores: that decoding and, without a GPU, the model have.
        on_round: told how many rounds are done.
    """
    rates: dict[str, list[Rate]] = defaultdict(list)
    for number in range(-1, rounds):
        if number < 0 or number % 2:
            order: Sequence[Phase] = (*_LIMITS, "engine")
        else:
            order = ("engine", *_LIMITS)
        with tempfile.TemporaryDirectory(prefix="coursepack-bench-") as folder:
            for phase in order:
                rate = stations.measure(phase, f"{folder}/{phase}")
                if rate is not None and number >= 0:
                    rates[phase].append(rate)
        on_round(number + 1)
    figures = {
        name: Figure(tuple(one.images_per_s for one in found)) for name, found in rates.items()
    }
    cpu_s = {name: Figure(tuple(one.cpu_s for one in found)) for name, found in rates.items()}
    engine = figures.pop("engine")
    limits = make_limits(
        figures, decode_cpu_s=cpu_s["decode"], model_cpu_s=cpu_s["model"], cores=cores, gpu=gpu
    )
    return limits, engine

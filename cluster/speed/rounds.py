"""The rounds of a bench: every limit and the engine, one right after the other, several times."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from cluster.provenance import usable_cores
from cluster.speed.figures import Figure
from cluster.speed.limits import Bench, Rate
from cluster.speed.report import make_limits
from selector.scoring.shard_scorer import ShardScorer


def measure(
    bench: Bench, scorer: ShardScorer, *, rounds: int, on_round: Callable[[int], None]
) -> tuple[dict[str, Figure], Figure]:
    """Limits and engine, after a round that does not count.

    The engine goes first in every other round: what a neighbour on the machine does then favours
    neither.

    Args:
        scorer: the engine, of the same teacher, runtime, batch size and threads as `bench`.
        on_round: told how many rounds are done.
    """
    rates: dict[str, list[Rate]] = defaultdict(list)
    engine: list[float] = []
    with tempfile.TemporaryDirectory(prefix="coursepack-bench-") as folder:
        for number in range(-1, rounds):
            place = Path(folder, str(number + 1))
            if number % 2:
                _measure_limits(bench, rates, str(place / "alone"))
            engine.append(_engine_rate(bench, scorer, str(place / "run")))
            if not number % 2:
                _measure_limits(bench, rates, str(place / "alone"))
            if number < 0:
                rates.clear()
                engine.clear()
            on_round(number + 1)
    figures = {
        name: Figure(tuple(one.images_per_s for one in found)) for name, found in rates.items()
    }
    cpu_s = {name: Figure(tuple(one.cpu_s for one in found)) for name, found in rates.items()}
    limits = make_limits(
        figures,
        decode_cpu_s=cpu_s["decode"],
        model_cpu_s=cpu_s["model"],
        cores=min(bench.threads, usable_cores()),
        gpu=bench.device != "cpu",
    )
    return limits, Figure(tuple(engine))


def _measure_limits(bench: Bench, rates: dict[str, list[Rate]], folder: str) -> None:
    rates["storage"].append(bench.storage())
    rates["tar"].append(bench.tar())
    rates["decode"].append(bench.decode())
    rates["model"].append(bench.model())
    copies = bench.copies()
    if copies is not None:
        rates["copies"].append(copies)
    rates["write"].append(bench.write(folder))


def _engine_rate(bench: Bench, scorer: ShardScorer, run: str) -> float:
    begin = perf_counter()
    for task in bench.workload.tasks(run):
        scorer.score(task)
    return bench.workload.num_images / (perf_counter() - begin)

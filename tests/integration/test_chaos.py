"""Actors and a whole node of a real cluster are killed while work goes on: nothing is lost.

The short form dispatches small tasks; the long one scores a pool by the command line, and kills the
driver and storage too (`python -m benchmarks.chaos`; COURSEPACK_CHAOS_ROUNDS says how often).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.dispatch import Finished, LeasePolicy, Repeated, dispatch
from tests.support.lethal import ROOT
from tests.support.stages import ToyStage, ToyTask, folder_results

pytest.importorskip("ray", reason="needs the ray extra")

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

TASKS = 24


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray

    from benchmarks.disturbed_cluster import DisturbedCluster

    cluster = DisturbedCluster(nodes=2, faults="")
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.close()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_task_ends_once_whatever_is_killed(cluster: Any, tmp_path: Path, seed: int) -> None:
    import ray

    from benchmarks.ray_store import store_use
    from cluster.ray_executor import ActorResources, RayPool

    chance = random.Random(seed)
    strikes = sorted(chance.sample(range(1, TASKS - 4), 2))
    tasks = [ToyTask(f"t{number:02d}", str(tmp_path), "step") for number in range(TASKS)]
    pool = RayPool(ray, ToyStage(), resources=ActorResources(num_cpus=1))
    finished: list[str] = []
    struck = repeated = 0
    for outcome in dispatch(
        pool, tasks, workers=2, leases=LeasePolicy(stall_s=20.0, silence_s=20.0)
    ):
        repeated += isinstance(outcome, Repeated)
        if isinstance(outcome, Finished):
            finished.append(outcome.task.name)
            if strikes and len(finished) >= strikes[0]:
                strikes.pop(0)
                if seed == 2 and strikes:
                    cluster.kill_node(chance)
                    struck += 1
                else:
                    struck += cluster.kill_actor(chance)
    pool.close()
    assert struck
    assert sorted(finished) == [task.name for task in tasks] == sorted(folder_results(tmp_path))
    use = store_use(cluster.address)
    assert use.spilled_bytes == 0
    assert use.created_bytes < 50_000_000


@pytest.mark.slow
def test_a_node_that_joins_gets_its_worker(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from cluster.ray_executor import ActorResources, RayPool

    monkeypatch.setattr("cluster.dispatch.GROW_EVERY_S", 0.5)
    before = len(cluster.workers)
    # Each takes a tenth of a second, so that there is work left when the node has come.
    tasks = [ToyTask(f"t{number:03d}", str(tmp_path), "step") for number in range(250)]
    pool = RayPool(ray, ToyStage(), resources=ActorResources(num_cpus=1))
    seen: set[float] = set()
    num_finished = 0
    for outcome in dispatch(pool, tasks, workers=before, elastic=True):
        if isinstance(outcome, Finished):
            num_finished += 1
            seen.add(outcome.result.counters["pid"])
            if num_finished == 1:
                cluster.join_node()
    pool.close()
    assert num_finished == 250
    assert len(seen) == before + 1


@pytest.mark.slow
def test_rounds_of_scoring_end_with_the_bytes_of_the_undisturbed_run(tmp_path: Path) -> None:
    rounds = os.environ.get("COURSEPACK_CHAOS_ROUNDS")
    if rounds is None:
        pytest.skip("a minute a round: set COURSEPACK_CHAOS_ROUNDS")
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.chaos", "--work", tmp_path / "chaos",
            "--rounds", rounds,
        ],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["same_bytes"] == summary["rounds"] == int(rounds)

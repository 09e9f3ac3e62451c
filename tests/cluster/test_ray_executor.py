"""The same dispatch loop over Ray actors, on a real cluster of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.dispatch import Finished, LeasePolicy, Quarantined, Repeated, RunAborted, dispatch
from cluster.ray_executor import ActorResources, RayPool, actor_slots
from tests.support.stages import ToyStage, ToyTask, folder_results

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="needs the ray extra")
    ray.init(
        address="local",  # never somebody else's
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=80_000_000,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
    )
    yield ray
    ray.shutdown()


def test_every_task_ends_once_and_the_dead_are_replaced(ray: Any, tmp_path: Path) -> None:
    behaviours = {"a": "ok", "b": "die-once", "c": "raise-once", "d": "die", "e": "bad-shard"}
    tasks = [ToyTask(name, str(tmp_path), what) for name, what in behaviours.items()]
    pool = RayPool(ray, ToyStage(), resources=ActorResources(num_cpus=1))
    outcomes = list(dispatch(pool, tasks, workers=2))
    pool.close()
    finished = [outcome.task.name for outcome in outcomes if isinstance(outcome, Finished)]
    assert sorted(finished) == ["a", "b", "c"] == sorted(folder_results(tmp_path))
    quarantined = {o.task.name: o.tries for o in outcomes if isinstance(o, Quarantined)}
    assert quarantined == {"d": 3, "e": 1}


def test_stuck_stopped_and_poisoned_actors_are_replaced(ray: Any, tmp_path: Path) -> None:
    behaviours = {"hangs": "hang-once", "stops": "stop-once", "poison": "poison", "fine": "ok"}
    tasks = [ToyTask(name, str(tmp_path), what) for name, what in behaviours.items()]
    pool = RayPool(ray, ToyStage(), resources=ActorResources(num_cpus=1))
    policy = LeasePolicy(stall_s=2.0, silence_s=4.0, slack=1.0)
    outcomes = list(dispatch(pool, tasks, workers=2, leases=policy))
    pool.close()
    finished = {o.task.name: o.result.counters for o in outcomes if isinstance(o, Finished)}
    assert set(finished) == set(behaviours)
    assert finished["poison"]["suspects"] == 42, "read on its node, from the board that it left"
    repeated = {o.task.name: o.failure.kind for o in outcomes if isinstance(o, Repeated)}
    assert repeated["hangs"] == "WorkerStuck"
    assert repeated["stops"] in ("WorkerSilent", "WorkerStuck")
    # On a crowded machine Ray tells of a death later than the lease runs out.
    assert repeated["poison"] in ("WorkerDied", "WorkerStuck")


def test_a_stage_that_cannot_open_aborts(ray: Any, tmp_path: Path) -> None:
    pool = RayPool(ray, ToyStage(open_error="wrong weights"), resources=ActorResources(num_cpus=1))
    with pytest.raises(RunAborted, match="wrong weights"):
        list(dispatch(pool, [ToyTask("a", str(tmp_path))], workers=1))
    pool.close()


def test_slots_count_whole_workers_per_node(ray: Any) -> None:
    assert actor_slots(ray, ActorResources(num_cpus=1)) == 2
    assert actor_slots(ray, ActorResources(num_cpus=2)) == 1
    assert actor_slots(ray, ActorResources(num_cpus=1, num_gpus=1)) == 0


def test_no_cluster_at_the_address_says_so_within_seconds() -> None:
    # In a process of its own: this one is connected already.
    program = (
        "from cluster.ray_executor import connect\n"
        "from shards.errors import CoursepackError\n"
        "try:\n    connect('127.0.0.1:1')\n"
        "except CoursepackError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert "127.0.0.1:1" in done.stdout, done.stderr
    assert "ray start --head" in done.stdout


def test_workers_that_find_no_room_keep_nobody_waiting(ray: Any, tmp_path: Path) -> None:
    # Two CPUs, four actors of one CPU each: two of them never start, and must not hold tasks.
    tasks = [ToyTask(f"t{number}", str(tmp_path)) for number in range(9)]
    pool = RayPool(ray, ToyStage(), resources=ActorResources(num_cpus=1))
    outcomes = list(dispatch(pool, tasks, workers=4))
    pool.close()
    assert sum(isinstance(outcome, Finished) for outcome in outcomes) == 9

"""The dispatch loop over real worker processes: results, repeats, deaths, quarantine, abort."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.dispatch import (
    Finished,
    LeasePolicy,
    Outcome,
    Quarantined,
    Repeated,
    RunAborted,
    dispatch,
)
from cluster.local_executor import InlinePool, ProcessPool, Standby
from cluster.stage import Stage
from tests.support.stages import ToyStage, ToyTask, folder_results


def run(
    stage: Stage, tasks: list[ToyTask], *, workers: int = 2, leases: LeasePolicy | None = None
) -> list[Outcome]:
    pool = ProcessPool(stage)
    try:
        return list(dispatch(pool, tasks, workers=workers, leases=leases))
    finally:
        pool.close()


def names(outcomes: list[Outcome], kind: type[Outcome]) -> set[str]:
    return {outcome.task.name for outcome in outcomes if isinstance(outcome, kind)}


def test_every_task_ends_once_whatever_its_neighbours_do(tmp_path: Path) -> None:
    behaviours = {
        "a": "ok", "b": "die-once", "c": "raise-once", "d": "ok", "e": "die", "f": "raise",
        "g": "bad-shard", "h": "ok", "i": "ok",
    }  # fmt: skip
    tasks = [ToyTask(name, str(tmp_path), what) for name, what in behaviours.items()]
    outcomes = run(ToyStage(), tasks)
    finished = [outcome for outcome in outcomes if isinstance(outcome, Finished)]
    assert len(finished) == len(names(outcomes, Finished))
    assert names(outcomes, Finished) == set("abcdhi") == set(folder_results(tmp_path))
    quarantined = {
        outcome.task.name: outcome for outcome in outcomes if isinstance(outcome, Quarantined)
    }
    assert set(quarantined) == set("efg")
    assert quarantined["e"].tries == quarantined["f"].tries == 3
    assert "signal 9" in quarantined["e"].failure.message
    assert "as asked" in quarantined["f"].failure.traceback
    assert quarantined["g"].tries == 1, "an input that stays bad is not tried again"
    assert {"b", "c"} <= names(outcomes, Repeated)


def test_a_failure_that_every_task_shares_aborts_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(RunAborted, match="every task would fail") as caught:
        run(ToyStage(), [ToyTask("a", str(tmp_path), "bad-config")])
    assert caught.value.exit_code == 2
    with pytest.raises(RunAborted, match="wrong weights"):
        run(ToyStage(open_error="wrong weights"), [ToyTask("a", str(tmp_path))])


def test_largest_task_goes_first_and_inline_pool_gives_the_same(tmp_path: Path) -> None:
    tasks = [ToyTask(f"t{size}", str(tmp_path), num_bytes=size) for size in (1, 9, 5)]
    outcomes = list(dispatch(InlinePool(ToyStage()), tasks, workers=1))
    assert [outcome.task.name for outcome in outcomes] == ["t9", "t5", "t1"]


def test_workers_leave_when_the_driver_is_killed(tmp_path: Path) -> None:
    program = (
        "from cluster.local_executor import ProcessPool\n"
        "from tests.support.stages import ToyStage\n"
        "import time\n"
        "pool = ProcessPool(ToyStage()); n = pool.start()\n"
        "print(pool._processes[n].pid, flush=True); time.sleep(60)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    deadline = time.monotonic() + 20
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")


def test_many_shards_that_kill_their_worker_are_all_quarantined(tmp_path: Path) -> None:
    tasks = [ToyTask(f"poison-{number}", str(tmp_path), "die") for number in range(4)]
    outcomes = run(ToyStage(), [*tasks, ToyTask("fine", str(tmp_path), num_bytes=0)], workers=1)
    assert names(outcomes, Quarantined) == {task.name for task in tasks}
    assert names(outcomes, Finished) == {"fine"}


def test_stuck_and_stopped_workers_are_replaced_and_a_slow_one_is_not(tmp_path: Path) -> None:
    behaviours = {"hangs": "hang-once", "stops": "stop-once", "slow": "slow", "fine": "ok"}
    tasks = [ToyTask(name, str(tmp_path), what) for name, what in behaviours.items()]
    # While nothing has ended yet, three times as long: so the slow one, whose every step takes
    # 0.25 s and which takes 2 s in all, is in no danger, and the stuck one is found in a second.
    policy = LeasePolicy(stall_s=0.5, silence_s=3.0, slack=1.0)
    outcomes = run(ToyStage(), tasks, workers=4, leases=policy)
    assert names(outcomes, Finished) == set(behaviours)
    repeated = {o.task.name: o.failure.kind for o in outcomes if isinstance(o, Repeated)}
    assert repeated == {"hangs": "WorkerStuck", "stops": "WorkerSilent"} or repeated == {
        "hangs": "WorkerStuck", "stops": "WorkerStuck",
    }  # fmt: skip
    assert folder_results(tmp_path)["slow"] == "0", "it got on, so it was left alone"


def test_a_task_that_killed_its_worker_learns_which_image_was_being_decoded(
    tmp_path: Path,
) -> None:
    outcomes = run(ToyStage(), [ToyTask("a", str(tmp_path), "poison")], workers=1)
    (repeated,) = (outcome for outcome in outcomes if isinstance(outcome, Repeated))
    assert "signal 11" in repeated.failure.message
    (finished,) = (outcome for outcome in outcomes if isinstance(outcome, Finished))
    assert finished.result.counters["suspects"] == 42


def test_a_task_may_bring_others(tmp_path: Path) -> None:
    outcomes = run(ToyStage(), [ToyTask("a", str(tmp_path), "two-steps")])
    assert names(outcomes, Finished) == {"a", "a-more"}


def test_a_worker_with_other_code_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.local_executor.code_fingerprint", lambda: "0" * 64)
    with pytest.raises(RunAborted, match="is not the driver's") as caught:
        run(ToyStage(), [ToyTask("a", str(tmp_path))])
    assert caught.value.exit_code == 2


def test_a_pool_takes_waiting_workers_first_and_those_that_nobody_took_are_ended(
    tmp_path: Path,
) -> None:
    standby = Standby(3, preload="shards.decode")
    dead, *waiting = [worker.process for worker in reversed(standby._waiting)]
    dead.kill()  # the next in line; a new process has to stand in for nobody
    dead.wait()
    pool = ProcessPool(ToyStage(), standby=standby)
    try:
        tasks = [ToyTask(name, str(tmp_path)) for name in "abcd"]
        outcomes = list(dispatch(pool, tasks, workers=1))
        assert names(outcomes, Finished) == set("abcd") == set(folder_results(tmp_path))
        assert list(pool._processes.values()) == [waiting[0]]
        other = ProcessPool(ToyStage(), devices=2, standby=standby)
        other.start()  # it is to see another GPU than those that wait
        assert waiting[1] not in other._processes.values()
        other.close()
    finally:
        pool.close()
        standby.close()
    assert all(process.poll() is not None for process in waiting)


def test_a_module_that_is_not_there_leaves_the_complaint_to_whoever_needs_it(
    tmp_path: Path,
) -> None:
    standby = Standby(1, preload="no_such_module")
    pool = ProcessPool(ToyStage(), standby=standby)
    try:
        outcomes = list(dispatch(pool, [ToyTask("a", str(tmp_path))], workers=1))
        assert names(outcomes, Finished) == {"a"}
    finally:
        pool.close()
        standby.close()

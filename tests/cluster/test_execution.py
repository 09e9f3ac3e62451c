"""How a caller's wishes become a plan."""

from __future__ import annotations

import pytest
import torch

from cluster.execution import (
    MOST_STANDBY,
    ExecutionConfig,
    choose_device,
    make_plan,
    standby_workers,
)
from shards.errors import UsageError


@pytest.mark.parametrize("name", ["actors", "threads", "batch_size"])
def test_nothing_can_be_less_than_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 0; it must be at least 1"):
        ExecutionConfig(**{name: 0})


def test_an_address_is_ray_s() -> None:
    assert ExecutionConfig(address="auto").on_ray
    assert ExecutionConfig(executor="ray").on_ray
    assert not ExecutionConfig(address="").on_ray
    with pytest.raises(UsageError, match="--address goes with the ray executor"):
        ExecutionConfig(executor="local", address="auto")


def test_inline_is_one_worker() -> None:
    plan = make_plan(ExecutionConfig(executor="inline", actors=4, threads=1), device="cpu")
    assert (plan.executor, plan.actors, plan.threads) == ("inline", 1, 1)


def test_a_device_is_one_of_two() -> None:
    assert choose_device(ExecutionConfig(device="cpu")) == "cpu"
    with pytest.raises(UsageError, match="expected cpu or cuda"):
        choose_device(ExecutionConfig(device="tpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_here_may_be_elsewhere_in_the_cluster() -> None:
    assert choose_device(ExecutionConfig()) == "cpu"
    assert choose_device(ExecutionConfig(device="cuda", address="auto")) == "cuda"
    with pytest.raises(UsageError, match="sees no GPU here"):
        choose_device(ExecutionConfig(device="cuda"))


@pytest.mark.parametrize(
    ("config", "is_new", "expected"),
    [
        (ExecutionConfig(device="cpu", actors=2), True, 2),
        (ExecutionConfig(device="cpu", actors=99, threads=1), True, MOST_STANDBY),
        (ExecutionConfig(device="cpu", actors=2, threads=1), False, 0),
        (ExecutionConfig(device="cuda", actors=2), True, 0),
        (ExecutionConfig(executor="inline"), True, 0),
        (ExecutionConfig(address="auto"), True, 0),
    ],
)
def test_workers_stand_by_for_a_new_run_on_the_cores_of_this_machine(
    config: ExecutionConfig, is_new: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.execution.PRELOAD", "")  # eight times torch takes its time
    with standby_workers(config, is_new=is_new) as standby:
        processes = [] if standby is None else [one.process for one in standby._waiting]
    assert len(processes) == expected
    assert all(process.poll() is not None for process in processes)


@pytest.mark.parametrize(
    ("cores", "parts", "memory", "actors", "threads"),
    [
        (2, 8, 1 << 36, 2, 1),  # a process each: they do not wait for one another
        (2, 7, 1 << 36, 1, 2),  # both cores on each part, or the last would leave one idle
        (2, None, 1 << 36, 2, 1),
        (16, 64, 1 << 36, 16, 1),
        (16, 40, 1 << 36, 8, 2),
        (16, 1, 1 << 36, 4, 4),
        (16, None, 6 << 30, 5, 3),  # 16 workers would not fit into 6 GB
        (1, None, 1 << 29, 1, 1),
    ],
)
def test_a_worker_has_one_thread_where_parts_and_memory_allow(
    cores: int, parts: int | None, memory: int, actors: int, threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cluster.execution.usable_cores", lambda: cores)
    monkeypatch.setattr("cluster.execution.usable_memory", lambda: memory)
    plan = make_plan(ExecutionConfig(), device="cpu", parts=parts)
    assert (plan.actors, plan.threads) == (actors, threads)
    one = make_plan(ExecutionConfig(actors=1), device="cpu", parts=parts)
    assert (one.actors, one.threads) == (1, min(4, cores))

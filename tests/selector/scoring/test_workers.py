from __future__ import annotations

import threading

import pytest
import torch

from selector.scoring.workers import Urgency, Workers


def test_results_and_errors_reach_the_one_who_asked() -> None:
    workers = Workers(2, name="test")

    def fail() -> None:
        raise ValueError("broken")

    assert workers.submit(Urgency.DECODE, divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ValueError, match="broken"):
        workers.submit(Urgency.DECODE, fail).result()
    assert workers.submit(Urgency.MODEL, len, "ab").result() == 2
    workers.close()


def test_the_model_goes_first_and_equals_in_order() -> None:
    workers = Workers(1, name="test")
    begun, go, done = threading.Event(), threading.Event(), []

    def block() -> None:
        begun.set()
        go.wait()

    workers.submit(Urgency.DECODE, block)
    begun.wait()
    for name in ("d1", "d2"):
        workers.submit(Urgency.DECODE, done.append, name)
    for name in ("m1", "m2"):
        workers.submit(Urgency.MODEL, done.append, name)
    go.set()
    workers.close()
    assert done == ["m1", "m2", "d1", "d2"]


def test_every_thread_computes_with_one_core() -> None:
    workers = Workers(3, name="test")
    assert len(workers) == 3
    barrier = threading.Barrier(3)

    def count() -> int:
        barrier.wait()
        return torch.get_num_threads()

    answers = [workers.submit(Urgency.MODEL, count) for _ in range(3)]
    assert [answer.result() for answer in answers] == [1, 1, 1]
    workers.close()

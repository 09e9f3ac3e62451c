from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from distiller.losses.noisy import noisy_cross_entropy
from distiller.transition_matrix import (
    IDENTITY_SLACK,
    TransitionMatrix,
    TransitionMode,
    identity_start,
    joint_from_probabilities,
    start_from_accuracies,
    start_from_joint,
)

MODES: list[TransitionMode] = ["frozen", "off_diagonal", "learned"]

logits_of_a_matrix = hnp.arrays(np.float64, (4, 4), elements=st.floats(-5, 5))


def train(transition: TransitionMatrix, *, steps: int, seed: int, lr: float = 0.1) -> None:
    """Adam steps on noisy cross-entropy of random logits and labels."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(transition.parameters(), lr=lr)
    classes = len(transition())
    for _ in range(steps):
        logits = 4 * torch.randn(16, classes, generator=generator)
        labels = torch.randint(0, classes, (16,), generator=generator)
        optimizer.zero_grad()
        noisy_cross_entropy(logits, labels, transition()).backward()
        optimizer.step()


def assert_columns_sum_to_one(q: Tensor) -> None:
    torch.testing.assert_close(q.sum(dim=0), torch.ones(len(q), dtype=q.dtype))
    assert bool((q > 0).all())


@pytest.mark.parametrize("mode", MODES)
def test_starts_where_it_is_told(mode: TransitionMode) -> None:
    start = start_from_accuracies(torch.tensor([0.5, 0.7, 0.99, 0.9]))
    q = TransitionMatrix(start, mode=mode)()
    torch.testing.assert_close(q, start.float(), rtol=1e-5, atol=1e-6)


@settings(max_examples=20)
@given(logits_of_a_matrix, st.integers(0, 1000), st.sampled_from(["off_diagonal", "learned"]))
def test_columns_sum_to_one_after_training(
    logits: np.ndarray, seed: int, mode: TransitionMode
) -> None:
    transition = TransitionMatrix(torch.softmax(torch.from_numpy(logits), dim=0), mode=mode)
    before = transition().detach().clone()
    train(transition, steps=5, seed=seed)
    after = transition().detach()
    assert_columns_sum_to_one(after)
    assert not torch.equal(before, after)


def test_frozen_has_nothing_to_learn() -> None:
    transition = TransitionMatrix(identity_start(3), mode="frozen")
    assert list(transition.parameters()) == []
    assert not transition.is_learned
    assert not transition().requires_grad


def test_off_diagonal_keeps_the_accuracies_and_moves_the_rest() -> None:
    accuracies = torch.tensor([0.5, 0.7, 0.8, 0.9])
    transition = TransitionMatrix(start_from_accuracies(accuracies), mode="off_diagonal")
    before = transition().detach().clone()
    train(transition, steps=20, seed=0)
    after = transition().detach()
    assert torch.equal(after.diagonal(), before.diagonal())
    is_diagonal = torch.eye(4, dtype=torch.bool)
    assert bool((after != before)[~is_diagonal].all())


def test_the_gradient_is_nonzero_only_where_the_mode_says() -> None:
    weights = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    is_diagonal = torch.eye(4, dtype=torch.bool)
    start = start_from_accuracies(torch.tensor([0.5, 0.7, 0.8, 0.9]))
    for mode, expected in (
        ("off_diagonal", ~is_diagonal),
        ("learned", torch.ones(4, 4, dtype=torch.bool)),
    ):
        transition = TransitionMatrix(start, mode=mode)  # type: ignore[arg-type]
        (weights * transition()).sum().backward()
        assert transition.logits_CC.grad is not None
        assert torch.equal(transition.logits_CC.grad != 0, expected), mode


def test_learned_q_approaches_the_teachers_true_confusion() -> None:
    """Noise with a known answer: pseudo-labels drawn from Q, a student that knows the truth."""
    generator = torch.Generator().manual_seed(0)
    true_q = torch.tensor([[0.9, 0.0, 0.2], [0.1, 0.7, 0.0], [0.0, 0.3, 0.8]])
    truth = torch.randint(0, 3, (20_000,), generator=generator)
    pseudo = torch.multinomial(true_q.T[truth], 1, generator=generator)[:, 0]
    certain = 20.0 * torch.nn.functional.one_hot(truth, 3).float()
    transition = TransitionMatrix(identity_start(3))
    optimizer = torch.optim.Adam(transition.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        noisy_cross_entropy(certain, pseudo, transition()).backward()
        optimizer.step()
    assert float((transition().detach() - true_q).abs().max()) < 0.02


def test_two_classes_leave_off_diagonal_nothing_to_choose() -> None:
    transition = TransitionMatrix(
        start_from_accuracies(torch.tensor([0.6, 0.9])), mode="off_diagonal"
    )
    torch.testing.assert_close(transition(), torch.tensor([[0.6, 0.1], [0.4, 0.9]]))


def test_identity_start() -> None:
    q = identity_start(5)
    assert_columns_sum_to_one(q)
    assert q.diagonal().tolist() == [1 - IDENTITY_SLACK] * 5


def test_start_from_accuracies_is_equation_7() -> None:
    q = start_from_accuracies(torch.tensor([0.9, 0.6, 0.3], dtype=torch.float64))
    expected = torch.tensor(
        [[0.9, 0.2, 0.35], [0.05, 0.6, 0.35], [0.05, 0.2, 0.3]], dtype=torch.float64
    )
    torch.testing.assert_close(q, expected)


@pytest.mark.parametrize("wrong", [[0.5, 1.0], [0.0, 0.5], [0.5, float("nan")], [0.5]])
def test_impossible_accuracies_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        start_from_accuracies(torch.tensor(wrong))


def test_joint_from_probabilities_by_loop() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    expected = torch.zeros(4, 4, dtype=torch.float64)
    for row in logits:
        p = torch.softmax(row, dim=0)
        for j in range(4):
            expected[int(row.argmax()), j] += p[j]
    joint = joint_from_probabilities([logits[:20], logits[20:]], 4)
    torch.testing.assert_close(joint, expected)
    assert float(joint.sum()) == pytest.approx(50)


def test_start_from_joint_is_the_conditional_down_each_column() -> None:
    joint = torch.tensor([[8.0, 2.0, 1.0], [1.0, 5.0, 1.0], [1.0, 3.0, 8.0]])
    q = start_from_joint(joint, full=True)
    # The floor spreads a thousandth of each column's errors evenly.
    assert q[0].tolist() == pytest.approx([0.8, 0.2, 0.1], abs=1e-4)
    assert q[2].tolist() == pytest.approx([0.1, 0.3, 0.8], abs=1e-4)
    diagonal = start_from_joint(joint, full=False)
    assert diagonal[:, 1].tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_a_calibrated_teacher_gives_back_its_own_confusion() -> None:
    """Noise with a known answer: true classes drawn from the teacher's own probabilities."""
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(40_000, 4, generator=generator, dtype=torch.float64)
    truth = torch.multinomial(torch.softmax(logits, dim=1), 1, generator=generator)[:, 0]
    counts = torch.zeros(4, 4, dtype=torch.float64)
    counts.index_put_((logits.argmax(dim=1), truth), torch.ones(1).double(), accumulate=True)
    measured = counts / counts.sum(dim=0)
    q = start_from_joint(joint_from_probabilities([logits], 4), full=True)
    assert float((q - measured).abs().max()) < 0.02


@given(hnp.arrays(np.float64, (4, 4), elements=st.just(0.0) | st.floats(1e-12, 1e6)), st.booleans())
def test_any_joint_gives_a_matrix_that_can_be_learned_from(joint: np.ndarray, full: bool) -> None:
    q = start_from_joint(torch.from_numpy(joint), full=full)
    assert_columns_sum_to_one(q)
    assert float(q.diagonal().min()) >= 1 / 4 - 1e-9
    assert float(q.diagonal().max()) <= 0.99 + 1e-9
    TransitionMatrix(q, mode="learned")


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (torch.full((2, 3), 0.5), r"expected \(C, C\)"),
        (torch.eye(3), "entries > 0"),
        (torch.tensor([[0.9, 0.1], [0.3, 0.7]]), "transpose it"),
    ],
)
def test_a_start_that_is_no_transition_matrix_is_refused(matrix: Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        TransitionMatrix(matrix)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        TransitionMatrix(identity_start(3), mode="none")  # type: ignore[arg-type]

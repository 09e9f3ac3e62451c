from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiller.evaluate import evaluate, label_rank, wilson_interval
from shards.errors import CoursepackError


def test_accuracies_are_counted_exactly_whatever_the_batches() -> None:
    logits = torch.randn(101, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 8, (101,), generator=torch.Generator().manual_seed(1))
    order = logits.argsort(dim=1, descending=True)
    right1 = sum(int(order[n, 0] == labels[n]) for n in range(101))
    right5 = sum(int(labels[n] in order[n, :5]) for n in range(101))
    for size in (1, 7, 50, 101, 200):
        batches = list(zip(logits.split(size), labels.split(size), strict=True))
        found = evaluate(lambda x: x, batches).figures
        assert found["n"] == 101
        assert found["top1"] == right1 / 101
        assert found["top5"] == right5 / 101
        assert (found["top1_low"], found["top1_high"]) == wilson_interval(right1, 101)


def test_with_a_teacher_its_accuracy_and_the_agreement_are_added() -> None:
    student = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])
    teacher = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    labels = torch.tensor([0, 0, 2, 0])
    rows = torch.arange(4)
    found = evaluate(
        lambda n: student[n], [(rows, labels)], teacher_fn=lambda n: teacher[n]
    ).figures
    assert found["agreement"] == 2 / 4
    assert found["teacher_top1"] == 3 / 4
    assert found["top1"] == 3 / 4
    assert "top5" not in found


def test_a_constant_model_is_right_about_one_class_only() -> None:
    """Ties are no free hits: all logits equal means class 0."""
    labels = torch.arange(10)
    found = evaluate(lambda x: torch.zeros(len(x), 10), [(labels, labels)]).figures
    assert found["top1"] == 0.1
    assert found["top5"] == 0.5


def test_rank_counts_who_stands_before_the_label() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 2.0]] * 4)
    assert label_rank(logits, torch.arange(4)).tolist() == [0, 3, 1, 2]


def test_nan_is_an_error_and_not_an_accuracy() -> None:
    logits = torch.tensor([[float("nan"), 1.0]])
    with pytest.raises(CoursepackError, match="NaN"):
        evaluate(lambda x: x, [(logits, torch.tensor([0]))])


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no samples"):
        evaluate(lambda x: x, [])


def test_no_gradients_are_kept() -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    seen = []

    def model(x: torch.Tensor) -> torch.Tensor:
        seen.append(x @ weight)
        return seen[-1]

    evaluate(model, [(torch.eye(2), torch.tensor([0, 1]))])
    assert not seen[0].requires_grad


@pytest.mark.parametrize(
    ("right", "num", "low", "high"),
    # Newcombe 1998, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_values(right: int, num: int, low: float, high: float) -> None:
    assert wilson_interval(right, num) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_wilson_holds_the_share_and_solves_its_equation(num: int, share: float) -> None:
    """At each end e, the share is 1.96 standard errors of e away from e."""
    right = round(share * num)
    low, high = wilson_interval(right, num)
    p = right / num
    assert 0 <= low <= p <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = abs(p - end) / math.sqrt(end * (1 - end) / num)
            assert distance == pytest.approx(1.959964, rel=1e-3)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 <= right <= num"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="expected 0 <= right <= num"):
        wilson_interval(0, 0)


def test_calibration_and_likelihood_by_loops_in_python() -> None:
    logits = 3 * torch.randn(
        203, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    labels = torch.randint(0, 4, (203,), generator=torch.Generator().manual_seed(6))
    found = evaluate(
        lambda n: logits[n], [(rows, labels[rows]) for rows in torch.arange(203).split(50)]
    ).figures
    nll, bins = 0.0, [[0, 0, 0.0] for _ in range(15)]
    for row, label in zip(logits.float().tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        nll -= math.log(p[label])
        one = bins[min(14, int(max(p) * 15))]
        one[0] += 1
        one[1] += p.index(max(p)) == label
        one[2] += max(p)
    ece = sum(abs(right / n - p / n) * n for n, right, p in bins if n) / 203
    assert found["nll"] == pytest.approx(nll / 203, rel=1e-5)
    assert found["ece"] == pytest.approx(ece, rel=1e-5)


def test_classes_are_told_apart() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 3])
    predicted = torch.tensor([0, 0, 1, 1, 0, 0])
    found = evaluate(lambda n: torch.eye(4)[predicted[n]], [(torch.arange(6), labels)])
    assert found.confusion_CC.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert found.per_class() == [2 / 3, 1 / 2, None, 0.0]
    assert found.figures["worst_class_accuracy"] == 0.0
    assert found.figures["mean_class_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 3)


def test_divergence_from_the_teacher_has_the_teacher_first() -> None:
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    labels = torch.tensor([0])
    found = evaluate(lambda x: student, [(labels, labels)], teacher_fn=lambda x: teacher).figures
    p, q = torch.softmax(teacher, 1)[0], torch.softmax(student, 1)[0]
    assert found["teacher_kl"] == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-5)

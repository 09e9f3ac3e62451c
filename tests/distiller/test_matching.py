from __future__ import annotations

import pytest
import torch

from distiller.losses.kd import kd_loss
from distiller.losses.relational import inter_class_loss, intra_class_loss
from distiller.losses.standardised import standardised_kd_loss
from distiller.matching import (
    DecoupledMatch,
    KdMatch,
    MatchOptions,
    RelationalMatch,
    StandardisedMatch,
    match_loss,
)
from tests.distiller.losses.logits import random_logits

STUDENT, TEACHER = random_logits(6, 4, seed=0), random_logits(6, 4, seed=1)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (KdMatch(), {"kd"}),
        (StandardisedMatch(), {"standardised_kd"}),
        (RelationalMatch(), {"dist_inter", "dist_intra"}),
        (DecoupledMatch(), {"target_kd", "others_kd"}),
    ],
)
def test_every_match_is_zero_for_a_student_that_equals_its_teacher(
    options: MatchOptions, names: set[str]
) -> None:
    loss, parts = match_loss(options, TEACHER, TEACHER, temperature=2.0)
    assert parts.keys() == names
    assert float(loss) == pytest.approx(0, abs=1e-9)
    student = STUDENT.clone().requires_grad_()
    loss, parts = match_loss(options, student, TEACHER, temperature=2.0)
    loss.backward()
    assert float(loss.detach()) > 0
    assert not any(part.requires_grad for part in parts.values())
    assert student.grad is not None


def test_totals_are_the_weighted_parts() -> None:
    dist, _ = match_loss(RelationalMatch(inter=2.0, intra=0.5), STUDENT, TEACHER, temperature=3.0)
    inter = inter_class_loss(STUDENT, TEACHER, temperature=3.0)
    intra = intra_class_loss(STUDENT, TEACHER, temperature=3.0)
    torch.testing.assert_close(dist, 2 * inter + 0.5 * intra)
    options = DecoupledMatch(target=0.5, others=3.0)
    decoupled, parts = match_loss(options, STUDENT, TEACHER, temperature=3.0)
    torch.testing.assert_close(decoupled, 0.5 * parts["target_kd"] + 3.0 * parts["others_kd"])
    for options, function in ((KdMatch(), kd_loss), (StandardisedMatch(), standardised_kd_loss)):
        total, _ = match_loss(options, STUDENT, TEACHER, temperature=3.0)
        torch.testing.assert_close(total, function(STUDENT, TEACHER, temperature=3.0))

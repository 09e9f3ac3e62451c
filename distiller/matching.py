"""How a student's logits are held against its teacher's: one of several losses, by configuration.

All are on one scale, that of KD_T in `distiller.losses.kd`: a divergence or distance of softened
distributions times T^2, so a weight means about the same at every temperature.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from distiller.losses.decoupled import decoupled_kd_losses
from distiller.losses.hard import pseudo_labels
from distiller.losses.kd import kd_loss
from distiller.losses.relational import inter_class_loss, intra_class_loss
from distiller.losses.standardised import standardised_kd_loss
from distiller.options import Options


class KdMatch(Options):
    """KD_T: T^2 times the KL divergence of the softened distributions, teacher first."""

    kind: Literal["kd"] = "kd"
    """The match's name."""


class StandardisedMatch(Options):
    """KD_T of logits z-scored per image: their shape counts, their size does not."""

    kind: Literal["standardised"] = "standardised"
    """The match's name."""


class RelationalMatch(Options):
    """DIST: correlation within each image and within each class of the batch."""

    kind: Literal["dist"] = "dist"
    """The match's name."""

    inter: float = Field(default=1.0, ge=0)
    """Weight of the relation among the classes of one image."""

    intra: float = Field(default=1.0, ge=0)
    """Weight of the relation among the images of a batch in one class."""


class DecoupledMatch(Options):
    """KD_T in two parts: the target class against all others, and the others among themselves.

    The target is the teacher's own decision."""

    kind: Literal["decoupled"] = "decoupled"
    """The match's name."""

    target: float = Field(default=1.0, ge=0)
    """alpha of the paper: weight of the part that knows only the target and the rest."""

    others: float = Field(default=8.0, ge=0)
    """beta of the paper: weight of the part among the other classes."""


MatchOptions = Annotated[
    KdMatch | StandardisedMatch | RelationalMatch | DecoupledMatch, Field(discriminator="kind")
]


def match_loss(
    options: MatchOptions,
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float,
    weights_N: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss that `options` names, and its parts.

    Args:
        student_logits_NC, teacher_logits_NC: (N, C) of the same views; gradient to the student.
        temperature: T > 0.
        weights_N: (N,) sample weights that average 1 over the training set, or None.

    Returns:
        (scalar with gradient; unweighted scalars without gradient, by name: kd, standardised_kd,
        dist_inter and dist_intra, or target_kd and others_kd).
    """
    logits = (student_logits_NC, teacher_logits_NC)
    if isinstance(options, KdMatch):
        kd = kd_loss(*logits, temperature=temperature, weights_N=weights_N)
        return kd, {"kd": kd.detach()}
    if isinstance(options, StandardisedMatch):
        shape = standardised_kd_loss(*logits, temperature=temperature, weights_N=weights_N)
        return shape, {"standardised_kd": shape.detach()}
    if isinstance(options, RelationalMatch):
        inter = inter_class_loss(*logits, temperature=temperature, weights_N=weights_N)
        intra = intra_class_loss(*logits, temperature=temperature, weights_N=weights_N)
        total = options.inter * inter + options.intra * intra
        return total, {"dist_inter": inter.detach(), "dist_intra": intra.detach()}
    target, others = decoupled_kd_losses(
        *logits, pseudo_labels(teacher_logits_NC), temperature=temperature, weights_N=weights_N
    )
    total = options.target * target + options.others * others
    return total, {"target_kd": target.detach(), "others_kd": others.detach()}

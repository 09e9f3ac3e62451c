"""Options of the robust objective, beside no code: what a distill.yaml may say of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from distiller.options import Options


class RobustOptions(Options):
    """Robust distillation (PU Compression): KD_T with class weights, minimised for the worst of the
    weights that are within reach: loss = max over W of mean_n w'[argmax t(x_n)] KD_T(x_n).

    W = {w' >= 0, |w'_k - w_k| <= eps, sum w' = sum w}. Which w' is worst is chosen by the weighted
    KL of each class's images."""

    kind: Literal["robust"] = "robust"
    """The objective's name."""

    temperature: float = Field(default=4.0, gt=0)
    """T of KD_T."""

    class_weights: Literal["capped", "paper", "none"] = "capped"
    """Nominal weights w, from one pass of the teacher over the training set before training.
    capped: inverse to a class's soft mass, with n_min and max_ratio, scaled so that images weigh 1
    on average; paper: as published, where a near-empty class takes all the weight; none: all 1."""

    n_min: int = Field(default=10, ge=0)
    """For capped: classes that the teacher names for fewer training images are dropped: weight 0,
    told by a warning and in card.json."""

    max_ratio: float = Field(default=10.0, ge=1)
    """For capped: the heaviest class weighs at most so many times the lightest that is kept."""

    adversary: Literal["none", "sampled", "worst_case", "paper"] = "sampled"
    """Who picks w' from W. none: w' = w; sampled: the worst of num_vectors draws from the uniform
    distribution over W; worst_case: the worst of all W, in closed form; paper: the worse of w and
    ONE vector above it, which is always the latter, so that its maximum does nothing."""

    num_vectors: int = Field(default=4, ge=2)
    """For sampled: how many vectors."""

    redraw: bool = False
    """For sampled: draw the vectors anew at every step; false = once per run, from the seed."""

    eps: float = Field(default=0.1, ge=0)
    """How far a weight may move."""

    relative: bool = False
    """Whether eps is a share of each class's own weight."""

    memory: float = Field(default=0.9, ge=0, lt=1)
    """The worst w' is chosen by each class's loss over the last steps, an average that keeps so
    much of its past at each step: of one batch alone (0), the choice says which class happens to
    have many images in it rather than which is learned worst."""

    @model_validator(mode="after")
    def _paper_is_absolute(self) -> RobustOptions:
        if self.adversary == "paper" and self.relative:
            raise ValueError("adversary paper has an absolute eps; leave relative out")
        return self

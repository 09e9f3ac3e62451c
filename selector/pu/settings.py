"""How a PU classifier is trained: one validated value, and the named recipes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shards.errors import UsageError


class PUSettings(BaseModel):
    """Everything but data, prior and seed that decides what a fit gives."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    method: Literal["nnpu", "upu"] = "nnpu"
    """Non-negative risk, or the unbiased one for comparison."""
    surrogate: Literal["sigmoid", "logistic"] = "logistic"
    """The paper's is the sigmoid. Where positives are few its slope vanishes: at a share of 0.05
    it called everything negative and stayed there; docs/pu.md has the figures."""
    beta: float = Field(default=0.0, ge=0)
    """How far below 0 the bracket of the risk may fall before a step turns."""
    gamma: float = Field(default=1.0, ge=0, le=1)
    """Size of the turned step."""
    reduction: int = Field(default=16, ge=1)
    """Of the attention's squeeze: D dimensions become D / reduction."""
    min_hidden: int = Field(default=32, ge=1)
    """The squeeze is no narrower: 7 numbers would be left of the 112 of a ResNet-20."""
    optimizer: Literal["sgd", "adam"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of sgd."""
    weight_decay: float = Field(default=0.5, ge=0)
    """L2 of sgd, decoupled of adam."""
    schedule: Literal["cosine", "step"] = "cosine"
    """cosine: the learning rate falls to 0; step: x 0.1 at 1/4, 1/2 and 3/4 of the training."""
    steps: int | None = Field(default=2000, ge=1)
    """Null: as many as `epochs` over the pool need."""
    epochs: int | None = Field(default=None, ge=1)
    batch_pool: int = Field(default=1024, ge=1)
    """Unlabelled images of a batch."""
    batch_positives: int = Field(default=256, ge=1)
    """Labelled images of a batch; every batch has so many, or all if there are fewer."""
    holdout: float = Field(default=0.2, gt=0, le=0.5)
    """Share of the labelled images that training never sees."""
    check_every: int = Field(default=50, ge=1)
    """Steps between two looks at the held-out images."""
    patience: int | None = Field(default=10, ge=1)
    """Looks without a lower held-out risk after which training stops; the weights of the lowest
    are kept. Null: never, and the last weights are kept."""

    def hidden(self, dim: int) -> int:
        """Width of the squeeze for D = dim features."""
        return max(1, dim // self.reduction, min(self.min_hidden, dim))

    def num_steps(self, pool_rows: int) -> int:
        """Steps of a fit on a pool of so many rows."""
        if self.epochs is not None:
            return max(1, self.epochs * pool_rows // self.batch_pool)
        assert self.steps is not None
        return self.steps


PU_RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "surrogate": "sigmoid",
        "min_hidden": 1,
        "patience": None,
        "optimizer": "sgd",
        "lr": 1e-3,
        "momentum": 0.9,
        "weight_decay": 5e-3,
        "schedule": "step",
        "steps": None,
        "epochs": 200,
        "batch_pool": 4096,
        "batch_positives": 1024,
    },
    "finetune": {
        "optimizer": "sgd",
        "lr": 1e-3,
        "momentum": 0.9,
        "weight_decay": 5e-3,
        "steps": 500,
        "batch_pool": 192,
        "batch_positives": 64,
        "patience": 5,
    },
}
"""Every recipe by name, as changes of the defaults. `finetune` is for the mode of that name.

paper: NeurIPS 2019, 200 epochs of SGD, batch 4,096, x 0.1 at 50, 100 and 150. Its plain shuffle is
not followed: 4,096 unlabelled images come with labelled ones beside them.
"""


def make_settings(recipe: str, changes: Mapping[str, Any] | None = None) -> PUSettings:
    """The settings of a recipe with some fields changed.

    Raises:
        UsageError: no such recipe or field, or a value out of its range.
    """
    if recipe not in PU_RECIPES:
        raise UsageError(f"no PU recipe {recipe!r}; expected one of {', '.join(PU_RECIPES)}")
    changes = dict(changes or {})
    if changes.get("epochs") is not None and "steps" not in changes:
        changes["steps"] = None
    if changes.get("steps") is not None and "epochs" not in changes:
        changes["epochs"] = None
    for name in changes:
        if name not in PUSettings.model_fields:
            close = difflib.get_close_matches(name, PUSettings.model_fields, n=1)
            hint = f"did you mean {close[0]}?" if close else "see docs/pu.md"
            raise UsageError(f"PU settings have no {name!r}; {hint}")
    try:
        settings = PUSettings.model_validate({**PU_RECIPES[recipe], **changes})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"PU setting {name}: {first['msg']}, found {first['input']!r}") from error
    if (settings.steps is None) == (settings.epochs is None):
        raise UsageError("PU settings need either steps or epochs; give one of them")
    return settings

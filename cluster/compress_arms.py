"""The students of a compression: what each is trained on, as a complete distill configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.compress_config import CompressConfig
from cluster.config import load_config
from distiller.config import DistillConfig
from distiller.recipes import merge
from shards.errors import UsageError

MAIN = "pu"
"""The arm that the command is about; also the name of its selection and of its folders."""

DEFAULT_OBJECTIVE = {"kind": "robust", "n_min": 1}
"""Robust, as the paper has it. No class is dropped for being rare: its labelled images say that it
is there on purpose, and max_ratio keeps it from taking all the weight."""


def arm_names(config: CompressConfig) -> list[str]:
    """The main arm and the baselines asked for, in the order in which they are trained."""
    return [MAIN, *config.baselines]


def distill_config(
    config: CompressConfig, arm: str, *, selected: str | None, labelled: str, home: Path
) -> DistillConfig:
    """The training of one arm: everything but its images is the same for all.

    Args:
        config: of the compression.
        arm: `pu` or a baseline.
        selected: folder of exported images, None for labelled_only.
        labelled: folder of the labelled shards.
        home: the compression's folder.

    Raises:
        UsageError: the section `distill` is wrong; each field is named.
    """
    base: dict[str, Any] = {"objective": DEFAULT_OBJECTIVE, "device": _device(config)}
    data: dict[str, Any] = {
        "eval": None if config.eval is None else list(config.eval),
        "image_ext": config.image_ext,
    }
    given: Mapping[str, Any] = config.distill
    if selected is None:
        # All of its images are labelled ones: there is nothing to mix them with.
        data |= {"train": [labelled]}
        shares = {"labelled_share", "labelled_ce"}
        kept = {k: v for k, v in given.get("data", {}).items() if k not in shares}
        weight = given.get("data", {}).get("labelled_ce")
        if weight is not None:
            # Each image is there twice, once with its label, so that term counts twice as well:
            # KD and cross-entropy of an image stand to each other as in the other arms.
            data |= {"labelled": [labelled], "labelled_ce": 2 * weight}
        given = {**given, "data": kept}
        if merge(base, given)["objective"].get("kind") == "robust":
            # So few images that n_min might drop every class; all of them are there on purpose.
            given = merge(given, {"objective": {"n_min": 0}})
    else:
        data |= {"train": [selected], "labelled": [labelled]}
    fixed = {
        "teacher": config.teacher.model_dump(mode="json"),
        "student": config.student.model_dump(),
        "seed": config.seed,
        "out": str(home / "students" / arm),
        "data": data,
    }
    try:
        return load_config(DistillConfig, merge(merge(base, given), fixed))
    except UsageError as error:
        raise UsageError(f"compress: distill: {error}") from error


def _device(config: CompressConfig) -> str:
    return config.execution.device or "auto"

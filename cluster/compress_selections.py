"""What each student of a compression is trained on, as a recipe; and what a selection holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.compress_arms import MAIN
from cluster.compress_config import CompressConfig
from cluster.verbs.query import query


def arm_recipe(
    config: CompressConfig, arm: str, *, n: int
) -> tuple[str | Mapping[str, Any], int | None]:
    """Recipe of an arm, and what takes the place of its n.

    Args:
        config: of the compression.
        arm: `pu`, `random` or `ground_truth`.
        n: images that the main selection has, of which the random one has as many.
    """
    if arm == MAIN:
        return config.select.recipe, config.select.n
    if arm == "random":
        return {"name": arm, "steps": [{"sample": {"n": n, "seed": config.seed}}]}, None
    return "baseline-ground-truth", None


def precision(run: str, selection: str) -> float:
    """Share of a selection that the fact table `truth` calls of the domain, in [0, 1]."""
    table = query(
        run,
        "SELECT avg(CASE WHEN is_positive = 1 THEN 1.0 ELSE 0.0 END) AS share "
        f'FROM "selection_{selection}" LEFT JOIN truth USING (row_id)',
    )
    return float(table["share"][0].as_py())


def unselected_classes(
    run: str, selection: str, *, num_classes: int, class_names: Sequence[str] | None
) -> list[str]:
    """Classes that are the teacher's decision for no selected image, by name or number."""
    table = query(
        run,
        "SELECT DISTINCT pseudo_label FROM scores "
        f'JOIN "selection_{selection}" USING (row_id) WHERE pseudo_label IS NOT NULL',
    )
    there = set(table["pseudo_label"].to_pylist())
    return [
        str(k) if class_names is None else class_names[k]
        for k in range(num_classes)
        if k not in there
    ]

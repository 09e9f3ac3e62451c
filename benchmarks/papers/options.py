"""What later work found to help, one option at a time over DFND with a quota."""

from __future__ import annotations

from typing import Any

from benchmarks.papers.arm import NOISY, Arm, Table
from benchmarks.papers.best import KD, PATIENT, QUOTA, views
from benchmarks.papers.dfnd import LOWEST


def match(**options: Any) -> dict[str, Any]:
    return {**NOISY, "match": options}


TABLE = Table(
    "options",
    "Options, one at a time, over DFND with a quota per class",
    (
        Arm("base", "DFND with a quota per class", recipe=QUOTA),
        Arm("no_quota", "one global cut instead", recipe=LOWEST),
        Arm(
            "kd_alone",
            "KD alone, no Q",
            recipe=QUOTA,
            objective=KD,
        ),
        Arm(
            "standardised",
            "logits standardised",
            recipe=QUOTA,
            objective={**match(kind="standardised"), "temperature": 2.0},
        ),
        Arm("dist", "DIST instead of KD", recipe=QUOTA, objective=match(kind="dist")),
        Arm(
            "decoupled",
            "decoupled KD",
            recipe=QUOTA,
            objective=match(kind="decoupled", others=2.0),
        ),
        Arm(
            "mixup",
            "mixup of half the images",
            recipe=QUOTA,
            changes=views(crop=None, mixup=0.5),
        ),
        Arm(
            "cutmix",
            "CutMix of half the images",
            recipe=QUOTA,
            changes=views(crop=None, cutmix=0.5),
        ),
        Arm(
            "resized_crop",
            "random resized crop instead of crop",
            recipe=QUOTA,
            changes=views(),
        ),
        Arm(
            "hints",
            "FitNets' hints at every stage",
            recipe=QUOTA,
            changes={"hints": {"kind": "regression", "weight": 5.0}},
        ),
        Arm(
            "attention",
            "attention transfer at every stage",
            recipe=QUOTA,
            changes={"hints": {"kind": "attention", "weight": 10.0}},
        ),
        Arm("average", "weight average", recipe=QUOTA, changes={"average": {"decay": 0.99}}),
        Arm(
            "reselected",
            "n of 2 n candidates, chosen anew",
            recipe=QUOTA,
            share=2.0,
            changes={"reselect": {"n": "{usual_n}", "every": 250, "alpha": [1.0, 0.5]}},
        ),
        Arm(
            "replayed",
            "8 replayed views in place of fresh ones",
            recipe=QUOTA,
            changes={"targets": {"views": 8, "folder": "{store}"}},
        ),
        Arm(
            "deduplicated",
            "pool without duplicates and near-copies of test images",
            recipe={
                "steps": [
                    {"exclude": {"duplicates": "perceptual"}},
                    {"exclude": {"duplicates": "{leakage}"}},
                    *QUOTA["steps"],
                ]
            },
            facts={
                "duplicates": {"grade": "perceptual"},
                "leakage": {"grades": ["exact", "perceptual"]},
            },
        ),
        Arm(
            "multi_crop",
            "scores averaged over ten views",
            recipe=QUOTA,
            scoring={"views": "{most_views}"},
        ),
        # The last two see more samples than the others: not for a comparison at equal cost.
        Arm("longer", "twice the steps", recipe=QUOTA, changes={"steps": "{steps_x2}"}),
        Arm(
            "patient",
            "KD alone, crops and mixup, three times the steps",
            recipe=QUOTA,
            objective=KD,
            changes={**PATIENT, "steps": "{steps_x3}"},
        ),
    ),
)

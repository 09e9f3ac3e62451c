"""PU Compression's table: few labelled images find their kin, and what the truth would have found.

Every student of this table trains on the labelled images and those of the pool together, as the
paper has it. The prior is given, the share of the pool that truly is of the teacher's classes: the
paper gave it too. What an estimate does is the table `prior`'s subject.
"""

from __future__ import annotations

from typing import Any

from benchmarks.papers.arm import Arm, Table
from benchmarks.papers.best import KD

ROBUST: dict[str, Any] = {"kind": "robust", "temperature": 4.0, "eps": 0.1}
POSITIVE = {"take": {"threshold": 0.0, "order": "{pu_score}"}}
POSITIVES = {"steps": [POSITIVE]}
SOME_POSITIVES = {
    "steps": [POSITIVE, {"sample": {"n": "{n}", "seed": "{seed}", "shortage": "accept"}}]
}
HIGHEST = {"steps": [{"take": {"n": "{n}", "order": "{pu_score}"}}]}
TRUE_POSITIVES = {"steps": [{"take": {"threshold": 1, "order": "truth.is_positive"}}]}
RANDOM = {"steps": [{"sample": {"n": "{n}", "seed": "{seed}"}}]}

LABELLED = (100, 50, 20)
"""A class."""
SUBSET = 0.25
"""Of the track's number: PU-s2. The paper's has the size of the teacher's training set, more than
our pools hold of the teacher's classes."""


def fitted(prior: object) -> dict[str, dict[str, object]]:
    """The facts of an arm that selects by a PU fit with this prior."""
    return {"pu": {"prior": prior}}


def pu_arm(
    name: str, title: str, recipe: dict[str, Any], *, labelled: int = 100, **fields: Any
) -> Arm:
    return Arm(
        name,
        title,
        recipe=recipe,
        objective=ROBUST,
        labelled=labelled,
        **{"facts": fitted("{share_x1}"), **fields},
    )


ALL_POSITIVE = pu_arm("pu", "PU-s1: all with F > 0, 100 labelled a class", POSITIVES)
SAME_NUMBER = pu_arm("pu_same_number", "PU, same number: highest F", HIGHEST)

TABLE = Table(
    "pu",
    "PU Compression: labelled images a class, and baselines",
    (
        Arm("real_kd", "KD, real images", "real", {}, KD),
        Arm("labelled_only", "100 labelled a class alone", "labelled", {}, ROBUST, labelled=100),
        pu_arm("baseline_1", "Baseline-1: true positives", TRUE_POSITIVES, facts={"truth": {}}),
        pu_arm("baseline_2", "Baseline-2: random, same number", RANDOM, facts={}),
        *(
            pu_arm(f"pu_s1_{few}", f"PU-s1, {few} labelled a class", POSITIVES, labelled=few)
            for few in LABELLED
        ),
        *(
            pu_arm(
                f"pu_s2_{few}",
                f"PU-s2 (a random {SUBSET:g} n of them), {few} labelled a class",
                SOME_POSITIVES,
                labelled=few,
                share=SUBSET,
            )
            for few in LABELLED
        ),
    ),
)

"""DFND's main table: what a selection is worth, between random images and real ones."""

from __future__ import annotations

from benchmarks.papers.arm import Arm, Table
from benchmarks.papers.best import KD, PATIENT, QUOTA, best_arm
from benchmarks.papers.pu import ALL_POSITIVE, RANDOM, SAME_NUMBER

LOWEST = {"steps": [{"take": {"n": "{n}", "order": "noise_value"}}]}

TABLE = Table(
    "dfnd",
    "DFND: arms of the paper's table",
    (
        Arm("real_labels", "student, real images and labels", "real", {}, {"kind": "supervised"}),
        Arm("real_kd", "KD, real images", "real", {}, KD),
        Arm("random", "random, same number", recipe=RANDOM),
        Arm("everything", "the whole pool", "pool"),
        Arm("dfnd", "DFND: lowest noise value", recipe=LOWEST),
        Arm("dfnd_quota", "DFND, quota per class", recipe=QUOTA),
        Arm(
            "dfnd_quota_kd",
            "quota per class, KD alone",
            recipe=QUOTA,
            objective=KD,
        ),
        Arm(
            "dfnd_quota_patient",
            "quota per class, KD, crops and mixup",
            recipe=QUOTA,
            objective=KD,
            changes=PATIENT,
        ),
        ALL_POSITIVE,
        SAME_NUMBER,
        best_arm(),
    ),
)

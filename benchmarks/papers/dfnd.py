"""DFND's main table: what a selection is worth, between random images and real ones."""

from __future__ import annotations

from benchmarks.papers.arm import Arm, Table

RANDOM = {"steps": [{"sample": {"n": "{n}", "seed": "{seed}"}}]}
LOWEST = {"steps": [{"take": {"n": "{n}", "order": "noise_value"}}]}
QUOTA = {
    "steps": [
        {
            "quota": {
                "by": "pseudo_label",
                "n": "{per_class}",
                "order": "noise_value",
                "shortage": "redistribute",
            }
        }
    ]
}
PATIENT = {
    "augment": {
        "resized_crop": {"scale": [0.5, 1.0]},
        "flip": True,
        "mix": {"mixup": 0.5},
    }
}

TABLE = Table(
    "dfnd",
    "DFND: arms of the paper's table",
    (
        Arm("real_labels", "student, real images and labels", "real", {}, {"kind": "supervised"}),
        Arm("real_kd", "KD, real images", "real", {}, {"kind": "kd", "temperature": 4.0}),
        Arm("random", "random, same number", recipe=RANDOM),
        Arm("everything", "the whole pool", "pool"),
        Arm("dfnd", "DFND: lowest noise value", recipe=LOWEST),
        Arm("dfnd_quota", "DFND, quota per class", recipe=QUOTA),
        Arm(
            "dfnd_quota_kd",
            "quota per class, KD alone",
            recipe=QUOTA,
            objective={"kind": "kd", "temperature": 4.0},
        ),
        Arm(
            "dfnd_quota_patient",
            "quota per class, KD, crops and mixup",
            recipe=QUOTA,
            objective={"kind": "kd", "temperature": 4.0},
            changes=PATIENT,
        ),
    ),
)

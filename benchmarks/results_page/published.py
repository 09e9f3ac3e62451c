"""What the papers report, on THEIR pools: single runs, the best epoch by the test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A paper's table.

    Attributes:
        where: teacher, student, pool.
        teacher: its accuracy in per cent.
        arms: our name of an arm -> the paper's accuracy in per cent.
    """

    where: str
    teacher: float
    arms: Mapping[str, float]


_DFND = "ResNet-34 to ResNet-18, 600,000 of ImageNet at 32 x 32"

PUBLISHED: dict[str, Published] = {
    "dfnd": Published(
        f"DFND (CVPR 2021), CIFAR-10, {_DFND}",
        94.85,
        {
            "real_labels": 93.92,
            "real_kd": 94.34,
            "random": 91.25,
            "dfnd": 94.02,
            "pu": 93.75,
        },
    ),
    "pu": Published(
        "PU Compression (NeurIPS 2019), CIFAR-10, ResNet-34 to ResNet-18, pool ImageNet",
        95.61,
        {
            "real_kd": 94.40,
            "baseline_1": 93.44,
            "baseline_2": 87.02,
            "pu_s1_100": 93.75,
            "pu_s1_50": 93.02,
            "pu_s1_20": 92.23,
            "pu_s2_100": 91.56,
            "pu_s2_50": 91.33,
            "pu_s2_20": 91.27,
        },
    ),
    "pu_mnist": Published(
        "PU Compression (NeurIPS 2019), MNIST, LeNet-5 to its half",
        98.9,
        {"pu_s1_given": 98.9},
    ),
}
"""By table. CIFAR-100 of DFND's paper: teacher 77.34, real labels 76.53, KD 76.87, random 73.25,
DFND 76.35."""

"""PU's ablation of the prior: given too low, right, too high, and estimated.

Shares are multiples of the one that the pool truly holds of the teacher's classes.
"""

from __future__ import annotations

from benchmarks.papers.arm import Table
from benchmarks.papers.pu import POSITIVES, fitted, pu_arm

MULTIPLES = (0.25, 0.5, 1.0, 2.0)

TABLE = Table(
    "prior",
    "PU Compression: the prior given and estimated",
    (
        *(
            pu_arm(
                f"prior_x{multiple:g}",
                f"{multiple:g} x the true share given",
                POSITIVES,
                facts=fitted(f"{{share_x{multiple:g}}}"),
            )
            for multiple in MULTIPLES
        ),
        pu_arm("prior_estimated", "estimated", POSITIVES, facts=fitted("auto")),
    ),
)

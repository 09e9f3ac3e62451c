"""What a compression found, collected from what its steps left on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.compress_arms import MAIN


@dataclass(frozen=True)
class CompressReport:
    """What a call to `compress` made.

    Attributes:
        out: The compression's folder.
        student: Weights of the student that was asked for (safetensors).
        pu: The PU classifier's report: prior, true positive rate, positives by class.
        num_selected: Images of the pool in each arm's selection.
        precision: Of each selection against `truth`, where the pool carries it.
        accuracy: Of each arm, last step: top1 and worst_class_accuracy in [0, 1].
        teacher_accuracy: top1 on the same images; None without eval.
        class_weights: By class, of the student that was asked for; None if it has none.
        unselected: Classes that no selected image has as its pseudo-label.
        report: The HTML page.
        warnings: What a person should know; also printed.
        exit_code: 0, or 3 where a part of the pool could not be scored.
    """

    out: str
    student: str
    pu: dict[str, Any]
    num_selected: dict[str, int]
    precision: dict[str, float]
    accuracy: dict[str, dict[str, float]]
    teacher_accuracy: float | None
    class_weights: dict[str, Any] | None
    unselected: list[str]
    report: str
    warnings: list[str]
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def lines(self) -> list[str]:
        """For a reader."""
        prior = self.pu["prior"]
        rows = [
            f"prior {prior['value']:.3f} ({'given' if prior['given'] else 'estimated'}), "
            f"{self.num_selected[MAIN]:,} images selected, "
            f"{self.pu['true_positive_rate']:.1%} of the held-out positives found"
        ]
        if self.precision:
            shares = ", ".join(f"{name} {value:.1%}" for name, value in self.precision.items())
            rows.append(f"of the teacher's domain by ground truth: {shares}")
        if self.teacher_accuracy is not None:
            rows.append(f"accuracy: {'teacher':<14} {self.teacher_accuracy:.2%}")
        for name, figures in self.accuracy.items():
            rows.append(
                f"          {name:<14} {figures['top1']:.2%}, worst class "
                f"{figures['worst_class_accuracy']:.2%}"
            )
        return [*rows, f"student: {self.student}", f"report:  {self.report}"]

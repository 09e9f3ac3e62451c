"""What a distill.yaml may say of feature hints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from distiller.options import Options


class HintOptions(Options):
    """Compare student and teacher inside as well: weight times a loss between maps of their stages
    is added to the objective, whatever that is."""

    kind: Literal["regression", "attention"] = "regression"
    """regression: FitNets' hints; a 1 x 1 convolution, learned with the student and dropped at the
    end, makes the teacher's map of the student's. attention: attention transfer; where in the
    image both are active, with nothing to learn for it."""

    weight: float = Field(default=1.0, gt=0)
    """Of the sum over the stages. A stage's loss is, for regression, mean squared error / mean
    square of the teacher's map over training images (1 = what a map of zeros would get); for
    attention, the squared distance between attention maps of length 1 (2 = nothing in common)."""

    student_taps: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Modules of the student whose outputs are compared, `@nhwc` behind one whose channels come
    last; null = the ends of those stages that have the resolution of a stage of the teacher."""

    teacher_taps: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Modules of the teacher, each for the student's module at the same place of the list; both
    lists or none. The larger of two maps is averaged down to the size of the smaller."""

    @model_validator(mode="after")
    def _taps_are_pairs(self) -> HintOptions:
        student, teacher = len(self.student_taps or ()), len(self.teacher_taps or ())
        if student != teacher:
            raise ValueError(
                f"{student} student_taps and {teacher} teacher_taps: give both lists, equally "
                "long, or none"
            )
        return self

"""From two networks to what feature hints need of them: which stages meet, and both with maps.

Legend: C = channels, H and W = height and width of a map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distiller.data.image_batch import ImageSet
from distiller.hint_options import HintOptions
from distiller.hints import HintPair, Hints
from selector.teachers.black_box import BlackBox
from selector.teachers.load import Teacher
from selector.teachers.map_runtime import MapAnswer, MapRuntime
from selector.teachers.runtime import made_up_inputs
from selector.teachers.stage_maps import MappedNetwork, Shape, with_stage_maps
from selector.teachers.tapped_graph import TapPurpose, of_a_file
from selector.teachers.taps import Tap, default_taps, parse_taps
from shards.errors import UsageError

_TEACHER = TapPurpose(option="hints.teacher_taps", way_out="leave hints out")
_STUDENT = TapPurpose(option="hints.student_taps", way_out="leave hints out")

_SCALE_IMAGES = 256
"""Training images that tell how large the teacher's maps are."""
_SCALE_BATCH = 64


@dataclass(frozen=True)
class HintStart:
    """What a run with hints works with.

    Attributes:
        hints: the loss and its regressors.
        student: normalised floats -> (logits, maps); shares all with the student it was made from.
        ask_teacher: uint8 batch -> logits and maps.
    """

    hints: Hints
    student: nn.Module
    ask_teacher: Callable[[Tensor], MapAnswer]


def open_hints(
    options: HintOptions, *, teacher: Teacher, student: nn.Module, student_name: str, seed: int
) -> HintStart:
    """Pair the stages of both networks; the loss's scale is still to be measured.

    Args:
        options: of the hints.
        teacher: who is listened to.
        student: in training mode, on the teacher's device.
        student_name: in the zoo.
        seed: of the regressors' initial weights.

    Raises:
        UsageError: a teacher of which only the outputs are known, taps that are not there, or no
            stage of one resolution.
    """
    if isinstance(teacher.module, BlackBox):
        raise of_a_file(teacher.name, _TEACHER)
    if options.student_taps is None or options.teacher_taps is None:
        student_taps = default_taps(student_name, student, option=_STUDENT.option)
        teacher_taps = default_taps(teacher.name, teacher.module, option=_TEACHER.option)
    else:
        student_taps = parse_taps(options.student_taps)
        teacher_taps = parse_taps(options.teacher_taps)

    def with_maps(taps: Sequence[Tap]) -> MappedNetwork:
        return with_stage_maps(
            student,
            taps,
            example=made_up_inputs(teacher),
            name=f"student {student_name}",
            purpose=_STUDENT,
            for_training=True,
        )

    mapped, run_teacher = (
        with_maps(student_taps),
        MapRuntime(teacher, teacher_taps, purpose=_TEACHER),
    )
    if options.student_taps is None:
        places = pair_by_resolution(mapped.shapes, run_teacher.network.shapes)
        if options.kind == "attention":  # of a map of one position there is none
            places = [(s, t) for s, t in places if mapped.shapes[s][1:] != (1, 1)]
        if not places:
            raise UsageError(
                f"hints: no stage of the student {student_name} ({_resolutions(mapped)}) has the "
                f"resolution of one of the teacher {teacher.name} "
                f"({_resolutions(run_teacher.network)}); name pairs with hints.student_taps and "
                "hints.teacher_taps"
            )
        # Built again with those alone that meet another: the rest would be kept for nothing.
        mapped = with_maps([student_taps[s] for s, _ in places])
        run_teacher = MapRuntime(teacher, [teacher_taps[t] for _, t in places], purpose=_TEACHER)
    hints = Hints(options, make_pairs(mapped, run_teacher.network), seed=seed)
    return HintStart(hints.to(teacher.device), mapped.module, run_teacher)


def measure_scale(start: HintStart, images: ImageSet) -> None:
    """Ask the teacher about training images, evenly spread over the set, for the loss's unit.

    Raises:
        UsageError: as `Hints.measure_scale`.
        CoursepackError: too many images cannot be used.
    """
    count = min(_SCALE_IMAGES, images.num_images)
    spread_N = torch.arange(count) * images.num_images // count
    with closing(images.batches(spread_N.split(_SCALE_BATCH))) as batches:
        start.hints.measure_scale(start.ask_teacher(batch.images_BCSS).maps for batch in batches)


def pair_by_resolution(student: Sequence[Shape], teacher: Sequence[Shape]) -> list[tuple[int, int]]:
    """Positions of the stages (student's, teacher's) of one resolution, in the networks' order.

    Of several stages in a row with one resolution the deepest are taken; each at most once.

    Args:
        student, teacher: (C, H, W) of the stages, in the networks' order.
    """
    pairs: list[tuple[int, int]] = []
    s, t = len(student) - 1, len(teacher) - 1
    while s >= 0 and t >= 0:
        if student[s][1:] == teacher[t][1:]:
            pairs.append((s, t))
            s, t = s - 1, t - 1
        elif student[s][1] * student[s][2] < teacher[t][1] * teacher[t][2]:
            s -= 1
        else:
            t -= 1
    return pairs[::-1]


def make_pairs(student: MappedNetwork, teacher: MappedNetwork) -> list[HintPair]:
    """What is compared: the taps side by side."""
    return [
        HintPair(
            student=student_name,
            teacher=teacher_name,
            student_channels=mine[0],
            teacher_channels=theirs[0],
            size=(min(mine[1], theirs[1]), min(mine[2], theirs[2])),
        )
        for student_name, teacher_name, mine, theirs in zip(
            student.names, teacher.names, student.shapes, teacher.shapes, strict=True
        )
    ]


def _resolutions(network: MappedNetwork) -> str:
    return ", ".join(
        f"{name} {shape[1]} x {shape[2]}"
        for name, shape in zip(network.names, network.shapes, strict=True)
    )

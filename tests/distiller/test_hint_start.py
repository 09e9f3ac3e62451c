from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distiller.hint_options import HintOptions
from distiller.hint_start import HintStart, make_pairs, open_hints, pair_by_resolution
from distiller.students import build_student
from selector.teachers.black_box import BlackBox
from selector.teachers.load import load_teacher
from selector.teachers.stage_maps import MappedNetwork
from shards.errors import UsageError
from tests.support.models import tiny_teacher


def start(
    folder: Path, student: str, *, teacher: str = "he/resnet8", **options: object
) -> HintStart:
    return open_hints(
        HintOptions.model_validate(options),
        teacher=load_teacher(tiny_teacher(folder, teacher)),
        student=build_student(student, num_classes=10, in_channels=3, seed=0),
        student_name=student,
        seed=0,
    )


def shapes(*sides: int) -> list[tuple[int, int, int]]:
    return [(8, side, side) for side in sides]


@pytest.mark.parametrize(
    ("student", "teacher", "pairs"),
    [
        ((32, 16, 8), (32, 16, 8), [(0, 0), (1, 1), (2, 2)]),
        ((32, 16, 8), (32, 16, 8, 4), [(0, 0), (1, 1), (2, 2)]),
        ((8, 4), (32, 16, 8), [(0, 2)]),
        ((16, 8, 8), (16, 8), [(0, 0), (2, 1)]),
        ((16, 8), (16, 8, 8), [(0, 0), (1, 2)]),
        ((16, 8), (15, 7), []),
    ],
)
def test_stages_of_one_resolution_meet_the_deepest_first(
    student: tuple[int, ...], teacher: tuple[int, ...], pairs: list[tuple[int, int]]
) -> None:
    assert pair_by_resolution(shapes(*student), shapes(*teacher)) == pairs


sides = st.lists(st.sampled_from([32, 16, 8, 4]), max_size=6).map(lambda x: sorted(x, reverse=True))


@given(sides, sides)
def test_pairs_keep_the_order_take_each_once_and_miss_none(a: list[int], b: list[int]) -> None:
    pairs = pair_by_resolution(shapes(*a), shapes(*b))
    assert all(a[s] == b[t] for s, t in pairs)
    assert all(x < y and z < w for (x, z), (y, w) in itertools.pairwise(pairs))
    assert len(pairs) == sum(min(a.count(side), b.count(side)) for side in set(a))


def test_maps_meet_at_the_smaller_size() -> None:
    network = torch.nn.Identity()
    student = MappedNetwork(network, ("a",), ((3, 8, 4),))
    teacher = MappedNetwork(network, ("b",), ((5, 4, 6),))
    (pair,) = make_pairs(student, teacher)
    assert (pair.student, pair.teacher) == ("a", "b")
    assert (pair.student_channels, pair.teacher_channels, pair.size) == (3, 5, (4, 4))


def test_only_stages_that_both_have_are_read(tmp_path: Path) -> None:
    """A student with a fourth stage at half the resolution of the teacher's third."""
    hints = start(tmp_path, "cifar/resnet18")
    assert [(pair.student, pair.teacher) for pair in hints.hints.pairs] == [
        ("layer1", "layer1"),
        ("layer2", "layer2"),
        ("layer3", "layer3"),
    ]
    _, maps = hints.student(torch.rand(2, 3, 32, 32))
    assert [tuple(one.shape[1:]) for one in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]
    answer = hints.ask_teacher(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert [one.shape[1] for one in answer.maps] == [16, 32, 64]


def test_named_taps_meet_in_their_order(tmp_path: Path) -> None:
    taps = {"student_taps": ["layer1.0.bn2", "layer3"], "teacher_taps": ["layer2", "layer1"]}
    first, second = start(tmp_path, "he/resnet8", **taps).hints.pairs
    assert (first.student, first.teacher, first.size) == ("layer1.0.bn2", "layer2", (16, 16))
    assert (second.student, second.teacher, second.size) == ("layer3", "layer1", (8, 8))


def test_attention_leaves_out_maps_of_one_position(tmp_path: Path) -> None:
    hints = open_hints(
        HintOptions(kind="attention"),
        teacher=load_teacher(tiny_teacher(tmp_path, "lenet/5")),
        student=build_student("lenet/5-half", num_classes=10, in_channels=1, seed=0),
        student_name="lenet/5-half",
        seed=0,
    ).hints
    assert [pair.student for pair in hints.pairs] == ["pool1", "pool2"]


def test_networks_without_a_common_stage_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no stage of the student lenet/5 \(pool1 14 x 14, .*32 x"
    ):
        start(tmp_path, "lenet/5")


@pytest.mark.parametrize("named", [False, True])
def test_a_black_box_is_told_with_the_way_out(tmp_path: Path, named: bool) -> None:
    teacher = load_teacher(tiny_teacher(tmp_path, "he/resnet8"))
    box = BlackBox(teacher.module.forward, (None,))
    taps = {"student_taps": ["layer1"], "teacher_taps": ["layer1"]} if named else {}
    with pytest.raises(UsageError, match=r"file:model\.pt2: of a model in a file.*leave hints out"):
        open_hints(
            HintOptions.model_validate(taps),
            teacher=replace(teacher, name="file:model.pt2", module=box),
            student=build_student("he/resnet8", num_classes=10, in_channels=3, seed=0),
            student_name="he/resnet8",
            seed=0,
        )

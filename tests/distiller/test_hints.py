from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distiller.hint_options import HintOptions
from distiller.hints import HintPair, Hints
from distiller.losses.hints import attention_loss, to_size
from shards.errors import UsageError

PAIRS = (
    HintPair("low", "layer1", 3, 5, (4, 4)),
    HintPair("high", "layer2", 6, 8, (2, 2)),
)


def maps(channels: tuple[int, int], sides: tuple[int, int], *, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(7, c, side, side, generator=generator)
        for c, side in zip(channels, sides, strict=True)
    ]


STUDENT = maps((3, 6), (4, 4), seed=0)  # the second is averaged down to the teacher's 2 x 2
TEACHER = maps((5, 8), (8, 2), seed=1)  # the first to the student's 4 x 4
WEIGHTS = torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])


def hints(kind: str, **options: float) -> Hints:
    return Hints(HintOptions.model_validate({"kind": kind, **options}), PAIRS, seed=3)


def test_regression_is_the_weighted_sum_of_relative_errors_in_float64() -> None:
    module = hints("regression", weight=0.5)
    module.measure_scale([TEACHER])
    total, parts = module(STUDENT, TEACHER, weights_N=WEIGHTS)
    assert list(parts) == ["hint_low", "hint_high"]
    expected = 0.0
    for place, pair in enumerate(PAIRS):
        convolution = module.regressors[place]
        kernel = convolution.weight.detach().double()[:, :, 0, 0]
        student = to_size(STUDENT[place].double(), pair.size)
        guided = torch.einsum("oc,nchw->nohw", kernel, student)
        guided = guided + convolution.bias.detach().double()[:, None, None]
        hint = to_size(TEACHER[place].double(), pair.size)
        error = ((guided - hint) ** 2).mean(dim=(1, 2, 3))
        part = float((WEIGHTS.double() * error).mean() / (hint**2).mean())
        assert float(parts[f"hint_{pair.student}"]) == pytest.approx(part, rel=1e-5)
        expected += 0.5 * part
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    total.backward()
    assert all(p.grad is not None for p in module.parameters())
    assert not any(part.requires_grad for part in parts.values())


def test_zeros_in_place_of_the_teachers_map_are_an_error_of_one() -> None:
    module = hints("regression")
    module.measure_scale([[one[:3] for one in TEACHER], [one[3:] for one in TEACHER]])
    for regressor in module.regressors:
        torch.nn.init.zeros_(regressor.weight)
        torch.nn.init.zeros_(regressor.bias)
    _, parts = module(STUDENT, TEACHER)
    assert [float(part) for part in parts.values()] == pytest.approx([1, 1], rel=1e-5)


def test_attention_is_the_weighted_sum_and_learns_nothing() -> None:
    module = hints("attention", weight=3.0)
    assert list(module.parameters()) == []
    total, parts = module(STUDENT, TEACHER)
    assert list(parts) == ["attention_low", "attention_high"]
    expected = [
        attention_loss(to_size(s, pair.size), to_size(t, pair.size))
        for s, t, pair in zip(STUDENT, TEACHER, PAIRS, strict=True)
    ]
    torch.testing.assert_close(total, 3 * (expected[0] + expected[1]))
    torch.testing.assert_close(list(parts.values()), expected)


def test_regressors_follow_from_the_seed_and_torchs_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = hints("regression").state_dict()
    assert torch.equal(torch.rand(1), expected)
    again = hints("regression").state_dict()
    other = Hints(HintOptions(), PAIRS, seed=4).state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not torch.equal(other["regressors.0.weight"], first["regressors.0.weight"])
    assert "scale_P" in first  # so a continued run need not ask the teacher for it


def test_bf16_maps_are_compared_in_float32() -> None:
    module = hints("regression")
    low, _ = module([one.bfloat16() for one in STUDENT], TEACHER)
    full, _ = module(STUDENT, TEACHER)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, full, rtol=1e-2, atol=1e-2)


def test_a_dead_stage_of_the_teacher_is_told() -> None:
    with pytest.raises(UsageError, match=r"layer2 answers training images with zeros alone"):
        hints("regression").measure_scale([[TEACHER[0], 0 * TEACHER[1]]])


def test_attention_of_one_position_is_refused() -> None:
    pair = HintPair("pool", "pool", 4, 4, (1, 1))
    with pytest.raises(UsageError, match="maps of one position"):
        Hints(HintOptions(kind="attention"), [pair], seed=0)

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distiller.schedule import ScheduleOptions, learning_rate_factor


def factors(options: ScheduleOptions, steps: int) -> list[float]:
    return [learning_rate_factor(step, steps=steps, options=options) for step in range(steps)]


def torch_factors(
    make: type[torch.optim.lr_scheduler.LRScheduler], steps: int, **options: object
) -> list[float]:
    """Learning rates that one of torch's own schedulers gives, from an initial rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_step_is_torchs_multi_step() -> None:
    expected = torch_factors(
        torch.optim.lr_scheduler.MultiStepLR, 50, milestones=[20, 40], gamma=0.1
    )
    by_share = ScheduleOptions(kind="step", milestones=(0.4, 0.8))
    by_number = ScheduleOptions(kind="step", milestones=(20, 40))
    assert factors(by_share, 50) == pytest.approx(expected)
    assert factors(by_number, 50) == pytest.approx(expected)


@pytest.mark.parametrize("final", [0.0, 0.05])
def test_cosine_is_torchs_cosine(final: float) -> None:
    expected = torch_factors(
        torch.optim.lr_scheduler.CosineAnnealingLR, 40, T_max=40, eta_min=final
    )
    assert factors(ScheduleOptions(kind="cosine", final=final), 40) == pytest.approx(expected)


def test_constant_is_one() -> None:
    assert factors(ScheduleOptions(), 3) == [1.0, 1.0, 1.0]


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    warm = ScheduleOptions(kind="step", milestones=(6,), warmup_steps=4)
    assert factors(warm, 8) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 0.1, 0.1])


@given(
    st.sampled_from(["constant", "cosine"]),
    st.integers(1, 200),
    st.integers(0, 50),
    st.floats(0, 1),
)
def test_a_factor_is_never_negative_nor_above_one(
    kind: str, steps: int, warmup: int, final: float
) -> None:
    options = ScheduleOptions(kind=kind, warmup_steps=warmup, final=final)  # type: ignore[arg-type]
    assert all(0 <= factor <= 1 for factor in factors(options, steps))


def test_a_step_outside_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"step 5 is outside \[0, 5\)"):
        learning_rate_factor(5, steps=5, options=ScheduleOptions())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "step"},
        {"kind": "cosine", "milestones": [0.5]},
        {"kind": "step", "milestones": [0.8, 0.4]},
        {"kind": "step", "milestones": [0]},
    ],
)
def test_options_that_do_not_fit_together_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="milestones"):
        ScheduleOptions.model_validate(wrong)

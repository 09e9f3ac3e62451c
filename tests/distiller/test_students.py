import pytest
import torch

from distiller.students import build_student
from shards.errors import UsageError


def test_weights_hang_on_the_seed_alone_and_torchs_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    first = build_student("lenet/5-half", num_classes=4, in_channels=1, seed=3)
    torch.rand(5)
    again = build_student("lenet/5-half", num_classes=4, in_channels=1, seed=3)
    other = build_student("lenet/5-half", num_classes=4, in_channels=1, seed=4)
    torch.set_rng_state(before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert any(
        not torch.equal(value, other.state_dict()[name])
        for name, value in first.state_dict().items()
    )


def test_it_takes_the_channels_and_gives_the_classes_asked_for() -> None:
    student = build_student("he/resnet8", num_classes=7, in_channels=1, seed=0)
    assert student.training
    assert student(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_the_global_generator_is_untouched() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    build_student("lenet/5-half", num_classes=4, in_channels=1, seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_name_is_the_users_error() -> None:
    with pytest.raises(UsageError):
        build_student("lenet/6", num_classes=4, in_channels=1, seed=0)

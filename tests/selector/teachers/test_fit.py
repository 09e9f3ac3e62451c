from __future__ import annotations

import pytest
import torch

from selector.teachers.fit import load_weights, read_sizes, without_wrapper_prefix
from selector.teachers.zoo import build_model
from shards.errors import UsageError
from tests.support.models import tiny_model

NAMES = ["lenet/5", "he/resnet8", "cifar/resnet18", "torchvision/squeezenet1_1"]


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_read_off_the_weights(name: str) -> None:
    stock = build_model(name, num_classes=10)
    channels = None if name.startswith("torchvision") else 1
    other = build_model(name, num_classes=23, in_channels=channels)
    sizes = read_sizes(stock, other.state_dict())
    assert sizes == (23, channels or 3)


def test_foreign_weights_tell_no_sizes() -> None:
    assert read_sizes(build_model("lenet/5", num_classes=10), {"x": torch.ones(3)}) == (None, None)


def test_loads_what_fits() -> None:
    source, target = tiny_model("he/resnet8", seed=1), tiny_model("he/resnet8", seed=2)
    load_weights(target, source.state_dict(), what="test")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(source(x), target(x))


def test_step_counters_may_be_missing() -> None:
    state = tiny_model("he/resnet8").state_dict()
    without = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    load_weights(tiny_model("he/resnet8", seed=1), without, what="test")


def test_names_the_first_three_of_each_mismatch() -> None:
    module = build_model("he/resnet8", num_classes=10)
    weights = dict(build_model("he/resnet20", num_classes=10).state_dict())
    del weights["conv1.weight"]
    weights["linear.weight"] = torch.zeros(5, 64)
    with pytest.raises(UsageError) as raised:
        load_weights(module, weights, what="he/resnet8 with w.npz")
    text = str(raised.value)
    assert text.startswith("he/resnet8 with w.npz")
    assert "missing (1): conv1.weight" in text
    first = "layer1.1.bn1.bias, layer1.1.bn1.running_mean, layer1.1.bn1.running_var"
    assert f"unexpected (60): {first}, ..." in text
    assert "of another shape (1): linear.weight (file (5, 64), model (10, 64))" in text


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module.model.", "model.module."])
def test_prefixes_of_wrappers_are_dropped(prefix: str) -> None:
    module = tiny_model()
    state = dict(module.state_dict())
    wrapped = {prefix + name: tensor for name, tensor in state.items()}
    assert set(without_wrapper_prefix(wrapped, module)) == set(state)


def test_a_prefix_that_is_the_modules_own_stays() -> None:
    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Linear(2, 2)

    outer = Outer()
    assert set(without_wrapper_prefix(outer.state_dict(), outer)) == {"model.weight", "model.bias"}

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from selector.teachers.black_box import BlackBox
from selector.teachers.tapped_graph import TapPurpose, tapped_graph
from selector.teachers.taps import parse_taps
from shards.errors import UsageError
from tests.support.models import tiny_model

PURPOSE = TapPurpose(option="hints.teacher_taps", way_out="leave hints out")


def test_taps_are_modules_or_nodes() -> None:
    model = tiny_model("he/resnet8")
    traced, nodes = tapped_graph(
        model, parse_taps(["layer1", "relu"]), purpose=PURPOSE, name="it", folds=False
    )
    assert nodes == [traced.outputs["layer1"], nodes[1]]
    assert nodes[1].name == "relu"


def test_a_tap_that_will_be_merged_is_refused_where_it_is() -> None:
    model, taps = tiny_model("he/resnet8"), parse_taps(["layer1.0.conv2"])
    assert tapped_graph(model, taps, purpose=PURPOSE, name="it", folds=False)
    with pytest.raises(UsageError, match=r"tap layer1\.0\.bn2 instead"):
        tapped_graph(model, taps, purpose=PURPOSE, name="it", folds=True)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Branching(), r"its graph cannot be read.*or leave hints out"),
        (BlackBox(lambda x: x, (None,)), r"of a model in a file.*name the same network as torchvi"),
        (tiny_model("he/resnet8"), r"no module 'stage1'.*choose hints\.teacher_taps from them"),
    ],
)
def test_networks_without_the_taps_are_told_with_the_way_out(
    model: nn.Module, message: str
) -> None:
    with torch.no_grad(), pytest.raises(UsageError, match=message):
        tapped_graph(model, parse_taps(["stage1"]), purpose=PURPOSE, name="it", folds=False)

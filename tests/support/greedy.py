"""Networks and runtimes that need more memory than a made-up device has: they raise what CUDA does.

`py:tests.support.greedy:holds_3` is such a teacher for whole runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selector.teachers.fixed_batch import FixedNetwork
from selector.teachers.preprocess import Preprocessing
from selector.teachers.runtime import Answer, EagerRuntime
from selector.teachers.zoo import default_preprocessing
from tests.support.models import tiny_model


def refuse(num: int, *, holds: int) -> None:
    """As torch does when it cannot allocate."""
    if num > holds:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 79 GiB"
        )


class GreedyRuntime(EagerRuntime):
    """Refuses more than `holds` images at once; `sizes` are those of all passes, refused or not."""

    holds = 1
    sizes: list[int]

    def answer(self, batch_NCHW: Tensor) -> Answer:
        self.sizes.append(len(batch_NCHW))
        refuse(len(batch_NCHW), holds=self.holds)
        return super().answer(batch_NCHW)


def refusing(network: FixedNetwork, *, holds: int) -> FixedNetwork:
    """The same network on a device that refuses it if it is made for more than `holds` images."""

    def run(batch_NCHW: Tensor) -> Answer:
        refuse(len(batch_NCHW), holds=holds)
        return network.run(batch_NCHW)

    return network._replace(run=run)


class Greedy(nn.Module):
    """Refuses more than `holds` images; cannot be traced, so that no rewriting loses that."""

    def __init__(self, *, holds: int) -> None:
        super().__init__()
        self.network = tiny_model("he/resnet8", sharpness=8)
        self.holds = holds

    def forward(self, x: Tensor) -> Tensor:
        refuse(len(x), holds=self.holds)
        logits: Tensor = self.network(x)
        return logits


def holds_3() -> tuple[nn.Module, Preprocessing]:
    """Builder of a teacher that passes the checks at loading, and no batch of more."""
    return Greedy(holds=3).eval(), default_preprocessing("he/resnet8")

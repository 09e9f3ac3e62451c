"""Runtimes whose network takes one batch size: larger batches are cut, smaller ones padded.

So the numbers of an image do not depend on how a pool was cut, and nothing is compiled twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from selector.teachers.padding import pad_batch
from selector.teachers.runtime import Answer
from selector.teachers.stage_features import Stage


class FixedNetwork(NamedTuple):
    """A network for one batch size.

    Attributes:
        run: of exactly `batch_size` uint8 images; float32.
        stages: of the features; empty where it gives none.
    """

    batch_size: int
    run: Callable[[Tensor], Answer]
    stages: tuple[Stage, ...]


class FixedBatchRuntime(ABC):
    """A `Runtime`, but for its network.

    Args:
        batch_size: that the network is made for.
    """

    name: str

    def __init__(self, batch_size: int) -> None:
        self._network = self._make(batch_size)
        self.stages = self._network.stages

    def answer(self, batch_NCHW: Tensor) -> Answer:
        """Logits and features of any number of images, from one pass for each whole batch."""
        network = self._network  # once: another thread may fix another batch size meanwhile
        answers = [_answer_part(network, one) for one in batch_NCHW.split(network.batch_size)]
        if len(answers) == 1:
            return answers[0]
        features = [one.features for one in answers if one.features is not None]
        return Answer(
            torch.cat([one.logits for one in answers]), torch.cat(features) if features else None
        )

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        return self.answer(batch_NCHW).logits

    def fix_batch(self, batch_size: int) -> None:
        """From now on take `batch_size` images: the network is made anew."""
        self._network = self._make(batch_size)

    @abstractmethod
    def _make(self, batch_size: int) -> FixedNetwork:
        """The network for a batch size; what an earlier call made is not needed any more."""


def _answer_part(network: FixedNetwork, part_NCHW: Tensor) -> Answer:
    num = len(part_NCHW)
    logits, features = network.run(pad_batch(part_NCHW, network.batch_size))
    return Answer(logits[:num], None if features is None else features[:num])

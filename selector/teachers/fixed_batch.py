"""Runtimes whose network takes one batch size: larger batches are cut, smaller ones padded.

So the numbers of an image do not depend on how a pool was cut, and nothing is compiled twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from selector.teachers.padding import pad_batch
from selector.teachers.runtime import Answer
from selector.teachers.stage_features import Stage


class FixedBatchRuntime(ABC):
    """A `Runtime`, but for its network.

    Args:
        stages: of the features; empty where the network gives none.
        batch_size: that the network takes.
    """

    name: str

    def __init__(self, stages: tuple[Stage, ...], batch_size: int) -> None:
        self.stages = stages
        self._batch_size = batch_size

    def answer(self, batch_NCHW: Tensor) -> Answer:
        """Logits and features of any number of images, from one pass for each whole batch."""
        answers = [self._answer_part(part) for part in batch_NCHW.split(self._batch_size)]
        if len(answers) == 1:
            return answers[0]
        features = [one.features for one in answers if one.features is not None]
        return Answer(
            torch.cat([one.logits for one in answers]), torch.cat(features) if features else None
        )

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        return self.answer(batch_NCHW).logits

    def _answer_part(self, part_NCHW: Tensor) -> Answer:
        num = len(part_NCHW)
        logits, features = self._run(pad_batch(part_NCHW, self._batch_size))
        return Answer(logits[:num], None if features is None else features[:num])

    @abstractmethod
    def _run(self, batch_NCHW: Tensor) -> Answer:
        """Of exactly `batch_size` uint8 images; float32."""

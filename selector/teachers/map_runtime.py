"""The plain runtime with maps: logits and the outputs of a teacher's stages from one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from selector.teachers.load import Teacher
from selector.teachers.runtime import answers_alike, made_up_inputs
from selector.teachers.stage_maps import MappedNetwork, with_stage_maps
from selector.teachers.tapped_graph import TapPurpose
from selector.teachers.taps import Tap
from shards.errors import UsageError


class MapAnswer(NamedTuple):
    """Logits (N, K) float32, and a map (N, C, H, W) float32 of each tap."""

    logits: Tensor
    maps: tuple[Tensor, ...]


class MapRuntime:
    """PyTorch without a compiler, in float32: channels last, network rewritten for inference.

    Raises:
        UsageError: as `with_stage_maps`; the rewritten network answers differently.
    """

    def __init__(self, teacher: Teacher, taps: Sequence[Tap], *, purpose: TapPurpose) -> None:
        self._preprocessing = teacher.preprocessing
        self._device = torch.device(teacher.device)
        inputs = made_up_inputs(teacher)
        self.network: MappedNetwork = with_stage_maps(
            teacher.module,
            taps,
            example=inputs,
            name=teacher.name,
            purpose=purpose,
            for_training=False,
        )
        if not answers_alike(self.network.module, teacher, inputs):
            raise UsageError(
                f"{teacher.name} answers differently once its graph is rewritten, so that its "
                f"stages cannot be trusted; {purpose.way_out}"
            )
        self._module = self.network.module.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, batch_NCHW: Tensor) -> MapAnswer:
        inputs = self._preprocessing.normalize(batch_NCHW.to(self._device, non_blocking=True))
        logits, maps = self._module(inputs.contiguous(memory_format=torch.channels_last))
        return MapAnswer(logits.float(), tuple(one.float() for one in maps))

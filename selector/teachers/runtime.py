"""How a teacher is run over batches: the one place that another runtime would be added to.

A runtime is a callable: uint8 images in, float32 logits out. Its name is recorded with the scores,
because two runtimes agree within a tolerance, not to the bit.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from selector.teachers.black_box import BlackBox
from selector.teachers.inference_graph import for_inference
from selector.teachers.load import Teacher


class Runtime(Protocol):
    """What the scoring pipeline needs of a runtime."""

    name: str

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        """Logits (N, C) float32, on the runtime's device, of uint8 images (N, C, S, S)."""
        ...


class EagerRuntime:
    """PyTorch without a compiler, in float32: channels last, network rewritten for inference.

    It differs from the teacher's own module by rounding alone (some 1e-5 of a noise value).
    """

    name = "eager-fp32"

    def __init__(self, teacher: Teacher) -> None:
        self._preprocessing = teacher.preprocessing
        self._device = torch.device(teacher.device)
        module = teacher.module
        if not isinstance(module, BlackBox):
            rewritten = for_inference(module)
            module = rewritten if _agree(rewritten, teacher) else module
        self._module = module.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        batch_NCHW = batch_NCHW.to(self._device, non_blocking=True)
        inputs = self._preprocessing.normalize(batch_NCHW)
        return self._module(inputs.contiguous(memory_format=torch.channels_last)).float()


def _agree(rewritten: nn.Module, teacher: Teacher) -> bool:
    """Whether the rewritten network answers as the original does, on made-up images.

    A trace follows one path through the network. Should that path depend on more than the graph
    shows, this tells.
    """
    generator = torch.Generator().manual_seed(0)
    size = (2, *teacher.preprocessing.input_size)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        inputs = teacher.preprocessing.normalize(images).to(teacher.device)
        return torch.allclose(rewritten(inputs), teacher.module(inputs), rtol=1e-3, atol=1e-3)

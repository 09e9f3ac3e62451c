"""torch.compile: the network as fused kernels of one batch size.

On a CPU in float32 with frozen weights. On a GPU the network runs in bf16 under autocast and gives
float32 logits; for small images CUDA graphs save the launches, which cost more than the kernels.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from selector.teachers.fixed_batch import FixedBatchRuntime
from selector.teachers.load import Teacher
from selector.teachers.runtime import Answer, inference_network
from selector.teachers.taps import Tap

_SMALL = 64
"""Pixels a side up to which launches bound a GPU."""


class CompiledRuntime(FixedBatchRuntime):
    """A compiled network. The first batch compiles it, in the thread that brings it.

    Raises:
        UsageError: taps as in `inference_network`.
    """

    def __init__(self, teacher: Teacher, *, taps: Sequence[Tap] = (), batch_size: int) -> None:
        self._preprocessing = teacher.preprocessing
        self._device = torch.device(teacher.device)
        self.name = self.name_on(self._device.type)
        network, stages = inference_network(teacher, taps)
        super().__init__(stages, batch_size)
        self._network = network.to(memory_format=torch.channels_last)
        self._compiled: Callable[[Tensor], Any] | None = None
        self._lock = threading.Lock()

    @staticmethod
    def name_on(device_type: str) -> str:
        """What is recorded: the precision differs between devices."""
        return "compile-bf16" if device_type == "cuda" else "compile-fp32"

    def _run(self, batch_NCHW: Tensor) -> Answer:
        output = self._output(batch_NCHW.to(self._device, non_blocking=True))
        logits, features = output if self.stages else (output, None)
        return Answer(logits.float(), None if features is None else features.float())

    def _output(self, batch_NCHW: Tensor) -> Any:
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    compiled = self._compile()
                    output = self._call(compiled, batch_NCHW)
                    self._compiled = compiled
                    return output
        return self._call(self._compiled, batch_NCHW)

    def _call(self, compiled: Callable[[Tensor], Any], batch_NCHW: Tensor) -> Any:
        cuda = self._device.type == "cuda"
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=cuda):
            return compiled(batch_NCHW)

    def _compile(self) -> Callable[[Tensor], Any]:
        def from_pixels(pixels_NCHW: Tensor) -> Any:
            inputs = self._preprocessing.normalize(pixels_NCHW)
            return self._network(inputs.contiguous(memory_format=torch.channels_last))

        compiled: Callable[[Tensor], Any]
        if self._device.type == "cuda":
            small = self._preprocessing.input_size[1] <= _SMALL
            mode = "reduce-overhead" if small else "default"
            compiled = torch.compile(from_pixels, mode=mode, dynamic=False)
        else:
            compiled = torch.compile(from_pixels, options={"freezing": True}, dynamic=False)
        return compiled

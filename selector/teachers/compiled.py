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

from selector.teachers.fixed_batch import FixedBatchRuntime, FixedNetwork
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
        # Made inside of the graph they would be a copy from the host, which a CUDA graph refuses.
        cuda = self._device.type == "cuda"
        self._constants = self._preprocessing.constants(self._device) if cuda else None
        network, self._stages = inference_network(teacher, taps)
        self._module = network.to(memory_format=torch.channels_last)
        super().__init__(batch_size)

    @staticmethod
    def name_on(device_type: str) -> str:
        """What is recorded: the precision differs between devices."""
        return "compile-bf16" if device_type == "cuda" else "compile-fp32"

    def fix_batch(self, batch_size: int) -> None:
        """From now on take `batch_size` images: the next batch compiles the network anew."""
        # What was compiled before keeps memory, of CUDA graphs even that of a whole pass; and each
        # further shape would count towards the number after which the compiler gives up.
        torch.compiler.reset()
        super().fix_batch(batch_size)

    def _make(self, batch_size: int) -> FixedNetwork:
        lock = threading.Lock()
        compiled: Callable[[Tensor], Any] | None = None

        def output_of(batch_NCHW: Tensor) -> Any:
            nonlocal compiled
            if compiled is None:
                with lock:
                    if compiled is None:
                        made = self._compile()
                        output = self._call(made, batch_NCHW)
                        compiled = made
                        return output
            return self._call(compiled, batch_NCHW)

        def run(batch_NCHW: Tensor) -> Answer:
            output = output_of(batch_NCHW.to(self._device, non_blocking=True))
            logits, features = output if self._stages else (output, None)
            return Answer(self._own(logits), None if features is None else self._own(features))

        return FixedNetwork(batch_size, run, self._stages)

    def _own(self, output: Tensor) -> Tensor:
        """As float32, in memory that the next pass leaves alone: CUDA graphs write in their own."""
        return output.to(torch.float32, copy=self._has_graphs)

    @property
    def _has_graphs(self) -> bool:
        return self._device.type == "cuda" and self._preprocessing.input_size[1] <= _SMALL

    def _call(self, compiled: Callable[[Tensor], Any], batch_NCHW: Tensor) -> Any:
        cuda = self._device.type == "cuda"
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=cuda):
            return compiled(batch_NCHW)

    def _compile(self) -> Callable[[Tensor], Any]:
        def from_pixels(pixels_NCHW: Tensor) -> Any:
            inputs = self._preprocessing.normalize(pixels_NCHW, self._constants)
            return self._module(inputs.contiguous(memory_format=torch.channels_last))

        compiled: Callable[[Tensor], Any]
        if self._device.type == "cuda":
            mode = "reduce-overhead" if self._has_graphs else "default"
            compiled = torch.compile(from_pixels, mode=mode, dynamic=False)
        else:
            compiled = torch.compile(from_pixels, options={"freezing": True}, dynamic=False)
        return compiled

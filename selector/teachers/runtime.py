"""How a teacher is run over batches: what a runtime is, and the plain one.

A runtime is a callable: uint8 images in, float32 logits out, and stage features from the same pass
where it was made with taps. Its name is recorded with the scores, because two runtimes agree within
a tolerance, not to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from selector.teachers.black_box import BlackBox
from selector.teachers.inference_graph import for_inference
from selector.teachers.load import Teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.stage_features import Stage, with_stage_features
from selector.teachers.taps import Tap
from shards.errors import UsageError

CACHED_NUMBERS = 1 << 17
"""Of 4 bytes: half a megabyte, which a core's second cache holds."""


class Answer(NamedTuple):
    """What one forward pass gives, float32: logits (N, C), features (N, D) or None."""

    logits: Tensor
    features: Tensor | None


class Runtime(Protocol):
    """What the scoring pipeline needs of a runtime."""

    name: str
    stages: tuple[Stage, ...]
    """Of the features; empty where it gives none."""

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        """Logits (N, C) float32, on the runtime's device, of uint8 images (N, C, S, S)."""
        ...

    def answer(self, batch_NCHW: Tensor) -> Answer:
        """Logits and features of the same images, from one pass."""
        ...

    def fix_batch(self, batch_size: int) -> None:
        """From now on batches have at most `batch_size` images: the device did not hold more.

        A network that is made for a batch size is made anew for this one.
        """
        ...


class EagerRuntime:
    """PyTorch without a compiler, in float32: channels last, network rewritten for inference.

    It differs from the teacher's own module by rounding alone (some 1e-5 of a noise value). Its
    logits are the same to the bit with and without taps.

    Raises:
        UsageError: taps of a network whose graph cannot be read, or that does not have them.
    """

    name = "eager-fp32"

    def __init__(self, teacher: Teacher, *, taps: Sequence[Tap] = ()) -> None:
        self._preprocessing = teacher.preprocessing
        self._device = torch.device(teacher.device)
        self._constants = self._preprocessing.constants(self._device)
        network, self.stages = inference_network(teacher, taps)
        self._module = network.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def answer(self, batch_NCHW: Tensor) -> Answer:
        batch_NCHW = batch_NCHW.to(self._device, non_blocking=True)
        inputs = normalize_in_cache(self._preprocessing, batch_NCHW, self._constants)
        output = self._module(inputs.contiguous(memory_format=torch.channels_last))
        if not self.stages:
            return Answer(output.float(), None)
        logits, features = output
        return Answer(logits.float(), features.float())

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        return self.answer(batch_NCHW).logits

    def fix_batch(self, batch_size: int) -> None:
        """Nothing to do: it takes batches of any size."""


def normalize_in_cache(
    preprocessing: Preprocessing, batch_NCHW: Tensor, constants: tuple[Tensor, Tensor]
) -> Tensor:
    """`Preprocessing.normalize`, bit for bit, as a CPU likes it where channels come last.

    Rows of pixels are one vector each, so that the arithmetic has more to run over than three
    channels; and a few images go through all of it at a time, while they are in a core's cache.
    """
    is_last = batch_NCHW.is_contiguous(memory_format=torch.channels_last)
    if batch_NCHW.device.type != "cpu" or batch_NCHW.dtype != torch.uint8 or not is_last:
        return preprocessing.normalize(batch_NCHW, constants)
    num, channels, height, width = batch_NCHW.shape
    pixels_NHR = batch_NCHW.permute(0, 2, 3, 1).reshape(num, height, width * channels)
    mean_R, std_R = (one.flatten().repeat(width) for one in constants)
    inputs_NHR = torch.empty(pixels_NHR.shape)
    images = max(1, CACHED_NUMBERS // (height * width * channels))
    for pixels, found in zip(pixels_NHR.split(images), inputs_NHR.split(images), strict=True):
        found.copy_(pixels).div_(255).sub_(mean_R).div_(std_R)
    return inputs_NHR.view(num, height, width, channels).permute(0, 3, 1, 2)


def inference_network(teacher: Teacher, taps: Sequence[Tap]) -> tuple[nn.Module, tuple[Stage, ...]]:
    """The teacher's network rewritten for inference, and the stages of its features.

    Args:
        taps: empty = a network that gives logits; else it gives (logits, features).

    Raises:
        UsageError: taps of a network whose graph cannot be read, or that does not have them.
    """
    module = teacher.module
    if taps:
        inputs = made_up_inputs(teacher)
        staged = with_stage_features(module, taps, example=inputs, name=teacher.name)
        if not answers_alike(staged.module, teacher, inputs):
            raise UsageError(
                f"{teacher.name} answers differently once its graph is rewritten, so that its "
                "features cannot be trusted; score without --features"
            )
        return staged.module, staged.stages
    if isinstance(module, BlackBox):
        return module, ()
    rewritten, inputs = for_inference(module), made_up_inputs(teacher)
    return (rewritten if answers_alike(rewritten, teacher, inputs) else module), ()


def made_up_pixels(teacher: Teacher, *, num_images: int) -> Tensor:
    """Random uint8 images (N, C, S, S) of the teacher's input size, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    size = (num_images, *teacher.preprocessing.input_size)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


def made_up_inputs(teacher: Teacher) -> Tensor:
    """Two such images, normalised, on the teacher's device."""
    pixels = made_up_pixels(teacher, num_images=2)
    return teacher.preprocessing.normalize(pixels).to(teacher.device)


@torch.no_grad()
def answers_alike(rewritten: nn.Module, teacher: Teacher, inputs: Tensor) -> bool:
    """Whether a rewritten network answers as the original does, on made-up images.

    A trace follows one path through the network. Should that path depend on more than the graph
    shows, this tells.
    """
    try:
        output = rewritten(inputs)
    except Exception:
        # The code that is made of a graph fails on some networks, each in its way.
        return False
    logits = output[0] if isinstance(output, tuple) else output
    return torch.allclose(logits, teacher.module(inputs), rtol=1e-3, atol=1e-3)

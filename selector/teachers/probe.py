"""One forward pass on made-up images: is this a classifier that answers with logits?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selector.teachers.preprocess import Preprocessing
from shards.errors import UsageError

_NUM_IMAGES = 3


def probe_num_classes(
    module: nn.Module, preprocessing: Preprocessing, *, name: str, device: str
) -> int:
    """Number of classes that the teacher answers with.

    Raises:
        UsageError: the network fails on its own input size, or its output is not a finite tensor
            (N, C) with C >= 2, or looks like probabilities instead of logits.
    """
    generator = torch.Generator().manual_seed(0)
    size = (_NUM_IMAGES, *preprocessing.input_size)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    inputs = preprocessing.normalize(images).to(device)
    try:
        with torch.no_grad():
            output = module(inputs)
    except Exception as error:
        # Foreign networks fail in any way they like; here it means wrong input size or channels.
        raise UsageError(
            f"{name} fails on input of shape {tuple(inputs.shape)}: {str(error).splitlines()[0]}; "
            "set channels and crop in the teacher's `preprocessing`"
        ) from error
    if not isinstance(output, Tensor):
        raise UsageError(
            f"{name} answers with {type(output).__name__}; expected one tensor of logits (N, C)"
        )
    if output.ndim != 2 or len(output) != _NUM_IMAGES or output.shape[1] < 2:
        raise UsageError(
            f"{name} answers {_NUM_IMAGES} images with a tensor of shape {tuple(output.shape)}; "
            f"expected logits ({_NUM_IMAGES}, C) with C >= 2"
        )
    output = output.float()
    if not torch.isfinite(output).all():
        raise UsageError(f"{name} answers with NaN or infinity; are the weights damaged?")
    sums_to_one = bool((output.sum(dim=1) - 1).abs().max() < 1e-3)
    if sums_to_one and bool((output >= 0).all()):
        raise UsageError(
            f"{name} answers with probabilities; expected logits: export it without its softmax"
        )
    return output.shape[1]

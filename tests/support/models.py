"""Tiny teachers with random weights, saved in the formats that real ones come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from selector.teachers.spec import TeacherSpec
from selector.teachers.zoo import build_model


def tiny_model(
    name: str = "lenet/5-half",
    *,
    num_classes: int = 10,
    in_channels: int | None = None,
    seed: int = 0,
    sharpness: float = 1.0,
) -> nn.Module:
    """A zoo model in eval mode whose weights follow from the seed alone.

    Batch norms get statistics that differ from 0 and 1, and logits are multiplied by `sharpness`:
    a network as it comes from its constructor hardly tells one image from another.
    """
    generator = torch.Generator().manual_seed(seed)
    model = build_model(name, num_classes=num_classes, in_channels=in_channels).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
        classifier = [m for m in model.modules() if isinstance(m, nn.Linear)][-1:]
        for layer in classifier:  # SqueezeNet has none
            layer.weight.mul_(sharpness)
    return model


def save_weights(path: Path, state: dict[str, Tensor]) -> str:
    """Write named tensors as the suffix of the path says; returns the path as text."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    elif path.suffix == ".npz":
        arrays = {
            name: tensor.numpy()
            for name, tensor in state.items()
            if not name.endswith("num_batches_tracked")
        }
        np.savez(path, allow_pickle=False, **arrays)
    else:
        torch.save(state, path)
    return str(path)


def tiny_teacher(
    folder: Path,
    name: str = "lenet/5-half",
    *,
    suffix: str = ".safetensors",
    num_classes: int = 10,
    in_channels: int | None = None,
    seed: int = 0,
    sharpness: float = 1.0,
) -> TeacherSpec:
    """The spec of a `tiny_model` whose weights lie in `folder`."""
    model = tiny_model(
        name, num_classes=num_classes, in_channels=in_channels, seed=seed, sharpness=sharpness
    )
    path = folder / f"{name.replace('/', '-')}-{seed}{suffix}"
    return TeacherSpec(name=name, weights=save_weights(path, dict(model.state_dict())))

"""Weights that nobody trained: the speed of a network does not depend on them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from selector.teachers.zoo import build_model


def write_random_weights(path: Path, teacher: str, *, num_classes: int) -> Path:
    """What `build_model` starts from with seed 0, as a safetensors file; returns the path."""
    torch.manual_seed(0)
    state = build_model(teacher, num_classes=num_classes).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path

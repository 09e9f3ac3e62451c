"""The network to be trained: a name of the zoo with seeded random weights."""

from __future__ import annotations

import torch
from torch import nn

from distiller.randomness import Purpose, torch_seed
from selector.teachers.zoo import build_model


def build_student(name: str, *, num_classes: int, in_channels: int, seed: int) -> nn.Module:
    """A student with weights that depend on `name`, its sizes and `seed` alone, in training mode.

    torch's global generator, which initialisers draw from, is left as it was.

    Raises:
        UsageError: the zoo has no such name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, Purpose.INITIAL_WEIGHTS))
        student = build_model(name, num_classes=num_classes, in_channels=in_channels)
    return student.train()

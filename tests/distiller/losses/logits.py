"""Logits for the loss tests: what hypothesis draws, and plain loops to compare with."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor


@st.composite
def logit_pairs(draw: st.DrawFn, limit: float = 50.0) -> tuple[Tensor, Tensor]:
    """Two (N, C) float64 tensors of logits in [-limit, limit]."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(2, 6)))
    numbers = hnp.arrays(np.float64, shape, elements=st.floats(-limit, limit, width=32))
    return torch.from_numpy(draw(numbers)), torch.from_numpy(draw(numbers))


def softmax(row: list[float], temperature: float = 1.0) -> list[float]:
    """Of one row, by the book."""
    largest = max(row)
    exponentials = [math.exp((value - largest) / temperature) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def random_logits(num: int, classes: int, *, seed: int, scale: float = 3.0) -> Tensor:
    """(num, classes) float64."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(num, classes, generator=generator, dtype=torch.float64)

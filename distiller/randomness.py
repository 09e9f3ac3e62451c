"""Every random number of a training run as a pure function of (seed, purpose, position).

No generator lives longer than the step that asked for it, so there is no generator state to save:
a run that is resumed at step 50 draws what an uninterrupted run draws at step 50.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What the numbers are for; streams of different purposes never overlap. Values are stored
    nowhere but fix the numbers drawn: never renumber."""

    INITIAL_WEIGHTS = 0
    ORDER = 1
    AUGMENT = 2
    LAYERS = 3
    """Dropout and the like inside the student."""
    POOL_SAMPLE = 4
    """Which images of the pool estimate Q."""
    CLASS_WEIGHTS = 5
    """Which class weights the robust loss is maximised over."""
    LABELLED_ORDER = 6
    """Order of the labelled images where they are mixed in at a share of their own."""
    VIEWS = 7
    """The views whose targets are kept in a store."""
    HINTS = 8
    """Initial weights of the regressors of feature hints."""


def numpy_generator(seed: int, purpose: Purpose, position: int = 0) -> np.random.Generator:
    """A fresh generator for (seed, purpose, position), each >= 0."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose, position])))


def torch_seed(seed: int, purpose: Purpose, position: int = 0) -> int:
    """A 63-bit seed for (seed, purpose, position), each >= 0."""
    state = np.random.SeedSequence([seed, purpose, position]).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def torch_generator(seed: int, purpose: Purpose, position: int = 0) -> torch.Generator:
    """A fresh CPU generator; numbers are drawn on the CPU so that every device sees the same."""
    return torch.Generator().manual_seed(torch_seed(seed, purpose, position))

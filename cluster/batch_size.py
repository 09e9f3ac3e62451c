"""How many images go through the network at once where nobody says."""

from __future__ import annotations

from selector.teachers.preprocess import Preprocessing

CPU_PIXELS = 1 << 19
"""In a CPU's batch: ten images of 224 pixels a side. The maps between layers of more leave the
caches, and are then so large that the system maps their memory anew for every layer."""

GPU_PIXELS = 25_600_000
"""In a GPU's batch: 510 images of 224 pixels a side."""


def default_batch_size(preprocessing: Preprocessing, device: str) -> int:
    """Images per forward pass, a power of two: 4 to 64 on a CPU, 64 to 2048 on a GPU."""
    _, height, width = preprocessing.input_size
    pixels, least, most = (CPU_PIXELS, 4, 64) if device == "cpu" else (GPU_PIXELS, 64, 2048)
    fitting = max(1, pixels // (height * width))
    return min(most, max(least, 1 << (fitting.bit_length() - 1)))

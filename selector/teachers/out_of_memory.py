"""Whether an error means that the memory of a device is full."""

from __future__ import annotations

import torch

_TOLD_OTHERWISE = (
    "CUDA out of memory",  # inside the compiler's own error
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Of allocations that are not torch's own: they come as a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at once may succeed.

    False for the host's memory: there a smaller batch saves little, and would change the numbers.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(one in str(error) for one in _TOLD_OTHERWISE)

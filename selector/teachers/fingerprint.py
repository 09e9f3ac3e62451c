"""Digest of a network's tensors: equal for equal weights, whatever file they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest_tensors(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of sorted names, shapes, dtypes and bytes.

    Counters that inference does not read are left out, so that the digest does not depend on the
    file format.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):
            continue
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

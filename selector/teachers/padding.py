"""Batches brought to a size."""

from __future__ import annotations

import torch
from torch import Tensor


def pad_batch(batch: Tensor, size: int) -> Tensor:
    """The batch with zeros behind it up to `size` rows; itself where it has as many."""
    missing = size - len(batch)
    if missing == 0:
        return batch
    return torch.cat([batch, batch.new_zeros(missing, *batch.shape[1:])])

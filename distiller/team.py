"""The processes that train one student together, as far as the distiller needs to know of them.

A step's batch is one batch, whoever computes which part of it: every process draws the same images
and the same random view of all of them, runs its share of the rows through the networks, and
averages gradients with the others. So a run of four processes is the run of one, but for rounding,
and may be continued by any number.

Without `torch.distributed` there is one process and nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """This process and how many there are.

    Attributes:
        rank: 0 <= rank < size; rank 0 alone writes files and talks.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and talks."""
        return self.rank == 0

    def rows(self, num: int) -> slice:
        """Which rows of a batch of `num` are this process's; equally many for each.

        Raises:
            ValueError: they cannot be shared out evenly, and a mean of means would not be the mean.
        """
        if num % self.size:
            raise ValueError(f"{num} rows cannot be shared out evenly among {self.size} processes")
        share = num // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace floating tensors, of one type and device, by their mean over all processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def total(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes; `values` stay as they are."""
        if self.size == 1:
            return values
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    def broadcast_(self, module: nn.Module) -> None:
        """Replace parameters and buffers by those of rank 0."""
        if self.size == 1:
            return
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.detach(), src=0)

    def average_statistics_(self, module: nn.Module) -> None:
        """Replace running statistics by their mean: each process has seen its rows alone."""
        self.average_([buffer for buffer in module.buffers() if buffer.is_floating_point()])

    def wait(self) -> None:
        """Until every process has come here."""
        if self.size > 1:
            dist.barrier()


ALONE = Team()


def current_team() -> Team:
    """The team of the process group of `torch.distributed`, if there is one."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return Team(dist.get_rank(), dist.get_world_size())

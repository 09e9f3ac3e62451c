"""A network in training as fused kernels, by torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from shards.errors import UsageError


def compiled_for_training(
    network: nn.Module, *, backend: str | Callable[..., Any] = "inductor"
) -> Callable[[Tensor], Any]:
    """`network` compiled at its first batch; parameters, statistics and mode stay the network's.

    Raises:
        UsageError: by the first call, where torch cannot compile here.
    """
    compiled: Callable[[Tensor], Any] = torch.compile(network, backend=backend, dynamic=False)
    has_run = False

    def run(inputs: Tensor) -> Any:
        nonlocal has_run
        if has_run:
            return compiled(inputs)
        try:
            output = compiled(inputs)
        except Exception as error:
            # No compiler, another version of it, a network beyond it: torch has an error for each.
            reason = " ".join(str(error).split("\n\n")[0].split()) or repr(error)
            raise UsageError(
                f"compile is true, but torch.compile fails here ({reason}); install a C++ "
                "compiler, or leave compile out"
            ) from error
        has_run = True
        return output

    return run

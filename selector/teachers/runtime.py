"""How a teacher is run over batches: the one place that another runtime would be added to.

A runtime is a callable: uint8 images in, float32 logits out. Its name is recorded with the scores,
because two runtimes agree within a tolerance, not to the bit.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from selector.teachers.black_box import BlackBox
from selector.teachers.load import Teacher


class Runtime(Protocol):
    """What the scoring pipeline needs of a runtime."""

    name: str

    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        """Logits (N, C) float32, on the runtime's device, of uint8 images (N, C, S, S)."""
        ...


class EagerRuntime:
    """PyTorch as it is, in float32: channels last, batch norm folded into the convolutions.

    Both are worth a factor of 2 to 3 together on a CPU. The folded network differs from the
    original by rounding alone (relative 1e-5 in a noise value).
    """

    name = "eager-fp32"

    def __init__(self, teacher: Teacher) -> None:
        self._preprocessing = teacher.preprocessing
        self._device = torch.device(teacher.device)
        folded = fold_batch_norm(teacher.module)
        if not _agree(folded, teacher):
            folded = teacher.module
        self._module = folded.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, batch_NCHW: Tensor) -> Tensor:
        batch_NCHW = batch_NCHW.to(self._device, non_blocking=True)
        inputs = self._preprocessing.normalize(batch_NCHW)
        return self._module(inputs.contiguous(memory_format=torch.channels_last)).float()


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy of an eval-mode network with each conv -> batch norm pair made one convolution.

    Networks that torch.fx cannot trace (control flow that depends on data) are returned as they
    are.
    """
    if isinstance(module, BlackBox):
        return module
    try:
        graph_module = torch.fx.symbolic_trace(module)
    except Exception:
        # Tracing foreign code fails in many ways, and each of them only means: do not fold.
        return module
    calls = [node.target for node in graph_module.graph.nodes if node.op == "call_module"]
    modules = dict(graph_module.named_modules())
    for node in list(graph_module.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        conv = node.args[0]
        is_pair = (
            isinstance(conv, torch.fx.Node)
            and conv.op == "call_module"
            and type(modules[conv.target]) is nn.Conv2d
            and len(conv.users) == 1
            and calls.count(conv.target) == calls.count(node.target) == 1
        )
        if not is_pair or modules[node.target].running_mean is None:
            continue
        folded = fuse_conv_bn_eval(modules[conv.target], modules[node.target])
        parent, _, name = conv.target.rpartition(".")
        setattr(graph_module.get_submodule(parent), name, folded)
        modules[conv.target] = folded
        node.replace_all_uses_with(conv)
        graph_module.graph.erase_node(node)
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module


def _agree(folded: nn.Module, teacher: Teacher) -> bool:
    """Whether the folded network answers as the original does, on made-up images.

    A trace follows one path through the network. Should that path depend on more than the graph
    shows, this tells.
    """
    generator = torch.Generator().manual_seed(0)
    size = (2, *teacher.preprocessing.input_size)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        inputs = teacher.preprocessing.normalize(images).to(teacher.device)
        return torch.allclose(folded(inputs), teacher.module(inputs), rtol=1e-3, atol=1e-3)

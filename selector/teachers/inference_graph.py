"""A network rewritten for inference: batch norm folded into convolutions, ReLU in place.

Both save passes over memory, which is what a small network on a CPU spends a third of its time on.
"""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from selector.teachers.tracing import is_called, trace

# What these return is theirs alone, so a ReLU behind them may overwrite it.
_FRESH_MODULES = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
_FRESH_FUNCTIONS = (operator.add, torch.add)


def for_inference(module: nn.Module) -> nn.Module:
    """A network that answers like `module`, in eval mode, but for rounding.

    Networks that torch.fx cannot trace (control flow that depends on data) are returned as they
    are. Parameters that are not changed are shared with `module`.
    """
    try:
        traced = trace(module).module
    except Exception:
        # Tracing foreign code fails in many ways, and each of them only means: leave it alone.
        return module
    rewrite(traced)
    return traced


def rewrite(traced: fx.GraphModule) -> None:
    """Fold batch norms and let ReLUs overwrite their input, in place.

    An output that a node besides the ReLU reads is not overwritten.
    """
    _fold_batch_norm(traced)
    _relu_in_place(traced)
    traced.delete_all_unused_submodules()
    traced.recompile()


def _fold_batch_norm(traced: fx.GraphModule) -> None:
    """Each convolution -> batch norm pair becomes one convolution."""
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        source = folded_convolution(node, traced, modules)
        if source is None:
            continue
        target = str(source.target)
        folded = fuse_conv_bn_eval(modules[target], modules[str(node.target)])
        parent, _, name = target.rpartition(".")
        setattr(traced.get_submodule(parent), name, folded)
        modules[target] = folded
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)


def folded_convolution(
    node: fx.Node, traced: fx.GraphModule, modules: dict[str, nn.Module]
) -> fx.Node | None:
    """The convolution that a batch norm is folded into; None for any other node."""
    if not is_called(node, modules, (nn.BatchNorm2d,)):
        return None
    source = node.args[0]
    if not is_called(source, modules, (nn.Conv2d,)) or len(source.users) != 1:
        return None
    # A module that is called twice has other inputs elsewhere.
    calls = [other.target for other in traced.graph.nodes if other.op == "call_module"]
    if calls.count(source.target) > 1 or calls.count(node.target) > 1:
        return None
    return None if modules[str(node.target)].running_mean is None else source


def _relu_in_place(traced: fx.GraphModule) -> None:
    """ReLUs overwrite their input where nobody else reads it."""
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        is_function = node.op == "call_function" and node.target in (F.relu, torch.relu)
        if not is_function and not is_called(node, modules, (nn.ReLU,)):
            continue
        source = node.args[0]
        is_fresh = is_called(source, modules, _FRESH_MODULES) or (
            source.op == "call_function" and source.target in _FRESH_FUNCTIONS
        )
        if not is_fresh or len(source.users) != 1:
            continue
        node.op, node.target = "call_function", F.relu
        node.args, node.kwargs = (source,), {"inplace": True}

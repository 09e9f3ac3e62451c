"""A network rewritten to answer with its logits and, from the same pass, the outputs of its stages
as maps: what feature hints of distillation compare.

No hooks: the maps are nodes of the graph, so that the result can be compiled like any module, and
trained: it shares parameters, running statistics and mode with the network it was made from.

Legend: N images, C channels, H and W = height and width of a map, K classes, T tokens.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from selector.teachers.inference_graph import rewrite
from selector.teachers.tapped_graph import TapPurpose, tapped_graph
from selector.teachers.taps import Tap
from shards.errors import UsageError

Shape = tuple[int, int, int]
"""(C, H, W) of a map."""


@dataclass(frozen=True, eq=False)
class MappedNetwork:
    """A network that returns (logits (N, K), one map (N, C, H, W) of each stage).

    Attributes:
        module: normalised floats in.
        names: the taps' paths, in the order of the maps.
        shapes: (C, H, W) of each map.
    """

    module: nn.Module
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]


def with_stage_maps(
    module: nn.Module,
    taps: Sequence[Tap],
    *,
    example: Tensor,
    name: str,
    purpose: TapPurpose,
    for_training: bool,
) -> MappedNetwork:
    """`module` that also returns what its stages answer.

    Channels-last outputs are turned; tokens become the square grid that they were cut from,
    without the class token before them; a vector is a map of one position.

    Args:
        module: in the mode that it will be used in.
        taps: at least one; the maps stand in their order.
        example: normalised images (N, C, S, S) with N >= 2, to learn the shapes from.
        name: of the network, for messages.
        purpose: for messages.
        for_training: leave the graph as it is; else it is rewritten for inference.

    Raises:
        UsageError: the network cannot be traced; a tap that it does not have, or whose output is
            no map of features per image.
    """
    traced, nodes = tapped_graph(module, taps, purpose=purpose, name=name, folds=False)
    graph, modules = traced.module.graph, dict(traced.module.named_modules())
    maps: list[fx.Node] = []
    for tap, node in zip(taps, nodes, strict=True):
        turn = _TURNS[tap.layout]
        overwritten = any(_writes_into(user, node, modules) for user in node.users)
        with graph.inserting_after(node):
            maps.append(graph.call_function(turn, (node,), {"copied": overwritten}))
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = ((output.args[0], tuple(maps)),)
    if for_training:
        traced.module.recompile()
    else:
        rewrite(traced.module)
    shapes = _shapes(traced.module, taps, example, name=name, purpose=purpose)
    return MappedNetwork(traced.module, tuple(tap.path for tap in taps), shapes)


def map_of_channels_first(x: Tensor, *, copied: bool) -> Tensor:
    """(N, C, H, W), tokens (N, T, C) or vectors (N, C) -> (N, C, H, W).

    Args:
        copied: because an operation in place further down would change it.

    Raises:
        ValueError: another number of dimensions, or tokens of no square grid.
    """
    x = x.clone() if copied else x
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return _grid_of_tokens(x)
    if x.ndim != 4:
        raise ValueError(f"an output of {x.ndim} dimensions is no map")
    return x


def map_of_channels_last(x: Tensor, *, copied: bool) -> Tensor:
    """(N, H, W, C), tokens or vectors -> (N, C, H, W); else as `map_of_channels_first`."""
    x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
    return map_of_channels_first(x, copied=copied)


_TURNS: dict[str, Callable[..., Tensor]] = {
    "nchw": map_of_channels_first,
    "nhwc": map_of_channels_last,
}


def _grid_of_tokens(tokens_NTC: Tensor) -> Tensor:
    num, count, channels = tokens_NTC.shape
    side = math.isqrt(count)
    if side * side not in (count, count - 1):
        raise ValueError(f"{count} tokens are no square grid, with or without a class token")
    grid_NTC = tokens_NTC[:, count - side * side :]
    return grid_NTC.transpose(1, 2).reshape(num, channels, side, side)


def _writes_into(user: fx.Node, node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether `user` changes the tensor that `node` gave: ReLU in place, `+=`, `add_`."""
    if user.op == "call_module":
        return bool(getattr(modules[str(user.target)], "inplace", False))
    if user.op == "call_method":
        method = str(user.target)
        return user.args[0] is node and method.endswith("_") and not method.endswith("__")
    if user.kwargs.get("inplace"):
        return True
    return user.target in _IN_PLACE and user.args[0] is node


_IN_PLACE: tuple[Any, ...] = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


@torch.no_grad()
def _shapes(
    module: fx.GraphModule,
    taps: Sequence[Tap],
    example: Tensor,
    *,
    name: str,
    purpose: TapPurpose,
) -> tuple[Shape, ...]:
    # Of a copy: in training mode a pass moves running statistics.
    network = copy.deepcopy(module)
    try:
        _, maps = network(example)
    except Exception as error:
        # What a tap returned may be anything; only tensors of one map per image are of use.
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{name}: the outputs of {', '.join(map(str, taps))} are not all maps of features "
            f"({reason}); choose other {purpose.option}"
        ) from error
    shapes = []
    for tap, x in zip(taps, maps, strict=True):
        shape = tuple(x.shape)
        if len(shape) != 4 or shape[0] != len(example) or not x.is_floating_point():
            raise UsageError(
                f"{name}: tap {tap} gives {shape} for {len(example)} images; expected a map of "
                f"features per image: choose other {purpose.option}"
            )
        shapes.append((shape[1], shape[2], shape[3]))
    return tuple(shapes)

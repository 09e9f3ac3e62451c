"""A network rewritten to answer with its logits and, from the same pass, its stage features.

No hooks: the averages are nodes of the graph, right behind the outputs that they read, so that the
result can be compiled or exported like any module, and an operation in place further down cannot
change what they read. Everything else of the graph stays as `for_inference` makes it, so the
logits are the same to the bit.

Legend: N images, C classes, D = features of all stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from selector.teachers.inference_graph import rewrite
from selector.teachers.tapped_graph import TapPurpose, tapped_graph
from selector.teachers.taps import Tap
from shards.errors import UsageError

FEATURES = TapPurpose(option="--taps", way_out="score without --features")


@dataclass(frozen=True)
class Stage:
    """A slice of the features: the tap it comes from, and how many there are."""

    name: str
    dim: int


@dataclass(frozen=True, eq=False)
class StagedNetwork:
    """A network that returns logits (N, C) and features (N, D) as a tuple.

    Attributes:
        module: normalised floats (N, C, S, S) in.
        stages: in the order of the features.
    """

    module: nn.Module
    stages: tuple[Stage, ...]

    @property
    def dim(self) -> int:
        """D."""
        return sum(stage.dim for stage in self.stages)


def with_stage_features(
    module: nn.Module, taps: Sequence[Tap], *, example: Tensor, name: str
) -> StagedNetwork:
    """`for_inference(module)` that also returns the averages of its stages' outputs.

    Maps (N, C, H, W) are averaged over positions (global average pooling), tokens (N, T, C) over
    tokens; vectors are taken as they are.

    Args:
        module: in eval mode; parameters that are not changed are shared with the result.
        taps: at least one; the features stand in their order.
        example: normalised images (N, C, S, S) with N >= 2, to learn the shapes from.
        name: of the teacher, for messages.

    Raises:
        UsageError: the network cannot be traced; a tap that it does not have, whose output is no
            tensor of features per image, or is merged into a batch norm.
    """
    traced, nodes = tapped_graph(module, taps, purpose=FEATURES, name=name, folds=True)
    graph = traced.module.graph
    pooled: list[fx.Node] = []
    for tap, node in zip(taps, nodes, strict=True):
        with graph.inserting_after(node):
            pooled.append(graph.call_function(_POOLS[tap.layout], (node,)))
    output = next(node for node in graph.nodes if node.op == "output")
    with graph.inserting_before(output):
        features = graph.call_function(torch.cat, (pooled, 1))
    output.args = ((output.args[0], features),)
    rewrite(traced.module)
    return StagedNetwork(traced.module, _stages(traced.module, taps, pooled, example, name))


def average_channels_first(x: Tensor) -> Tensor:
    """(N, C, H, W), tokens (N, T, C) or vectors (N, C) -> (N, C)."""
    if x.ndim == 4:
        return x.mean(dim=(2, 3))
    return x.mean(dim=1) if x.ndim == 3 else x


def average_channels_last(x: Tensor) -> Tensor:
    """(N, H, W, C), tokens (N, T, C) or vectors (N, C) -> (N, C)."""
    if x.ndim == 4:
        return x.mean(dim=(1, 2))
    return x.mean(dim=1) if x.ndim == 3 else x


_POOLS = {"nchw": average_channels_first, "nhwc": average_channels_last}


def _stages(
    module: fx.GraphModule,
    taps: Sequence[Tap],
    pooled: Sequence[fx.Node],
    example: Tensor,
    name: str,
) -> tuple[Stage, ...]:
    with torch.no_grad():
        try:
            ShapeProp(module).propagate(example)
        except Exception as error:
            # What a tap returned may be anything; only tensors of one row per image concatenate.
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UsageError(
                f"{name}: the outputs of {', '.join(map(str, taps))} cannot be averaged to one "
                f"vector per image ({reason}); choose other --taps"
            ) from error
    stages = []
    for tap, node in zip(taps, pooled, strict=True):
        shape = tuple(node.meta["tensor_meta"].shape)
        if len(shape) != 2 or shape[0] != len(example):
            raise UsageError(
                f"{name}: tap {tap} gives {shape} for {len(example)} images; expected one vector "
                "per image: choose other --taps"
            )
        stages.append(Stage(tap.path, shape[1]))
    return tuple(stages)

"""The graph of a network, with the nodes whose outputs its taps name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx, nn

from selector.teachers.black_box import BlackBox
from selector.teachers.inference_graph import folded_convolution
from selector.teachers.taps import Tap
from selector.teachers.tracing import Traced, trace
from shards.errors import UsageError

_SHOWN = 12


@dataclass(frozen=True)
class TapPurpose:
    """What the outputs are for, in words for messages.

    Attributes:
        option: where the user names taps.
        way_out: what to do without them.
    """

    option: str
    way_out: str


def tapped_graph(
    module: nn.Module, taps: Sequence[Tap], *, purpose: TapPurpose, name: str, folds: bool
) -> tuple[Traced, list[fx.Node]]:
    """The traced network and the node of each tap.

    Args:
        module: its parameters are shared with the graph.
        taps: paths of modules or names of nodes.
        purpose: for messages.
        name: of the network, for messages.
        folds: batch norms will be merged into their convolutions, whose outputs then are none.

    Raises:
        UsageError: a network of which only the outputs are known, or that cannot be traced; a tap
            that it does not have, or that is merged.
    """
    if isinstance(module, BlackBox):
        raise of_a_file(name, purpose)
    try:
        traced = trace(module)
    except Exception as error:
        # Tracing foreign code fails in many ways; any of them means that it has no graph.
        raise UsageError(
            f"{name}: its graph cannot be read ({str(error).splitlines()[0]}), so that its stages "
            "cannot be tapped; write its forward without control flow that depends on the data, "
            f"or {purpose.way_out}"
        ) from error
    nodes = [_find(tap, traced, name, purpose) for tap in taps]
    if folds:
        modules = dict(traced.module.named_modules())
        for tap, node in zip(taps, nodes, strict=True):
            for user in node.users:
                if folded_convolution(user, traced.module, modules) is node:
                    raise UsageError(
                        f"{name}: the output of {tap.path} is merged with the batch norm "
                        f"{user.target} behind it; tap {user.target} instead"
                    )
    return traced, nodes


def of_a_file(name: str, purpose: TapPurpose) -> UsageError:
    """What to say of a model of which only the outputs are known."""
    return UsageError(
        f"{name}: of a model in a file only the outputs can be read, so that its stages cannot be "
        "tapped; name the same network as torchvision/..., timm/... or py:package.module:builder "
        f"with its weights, or {purpose.way_out}"
    )


def _find(tap: Tap, traced: Traced, name: str, purpose: TapPurpose) -> fx.Node:
    node = traced.outputs.get(tap.path)
    if node is not None:
        return node
    named = [other for other in traced.module.graph.nodes if other.name == tap.path]
    if named and named[0].op not in ("output", "get_attr", "placeholder"):
        return named[0]
    paths = [path for path in traced.outputs if path.count(".") < 2]
    more = ", ..." if len(paths) > _SHOWN else ""
    raise UsageError(
        f"{name} has no module {tap.path!r} with one tensor as its output; it has "
        f"{', '.join(paths[:_SHOWN])}{more}: choose {purpose.option} from them"
    )

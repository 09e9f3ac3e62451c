"""A network as a graph (torch.fx), with the node that each of its modules answers with."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, TypeGuard

from torch import fx, nn


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced network.

    Attributes:
        module: runs the graph; shares its parameters with the network.
        outputs: path of a module -> the node of its last output, where that is one tensor.
    """

    module: fx.GraphModule
    outputs: dict[str, fx.Node]


def trace(module: nn.Module) -> Traced:
    """Follow `module` once, symbolically.

    Networks of timm are traced a second time, should it be necessary, around those of their parts
    that timm itself declares untraceable.

    Raises:
        Exception: of any kind, where control flow depends on data.
    """
    try:
        return _trace(module, _Tracer())
    except Exception:
        # Tracing foreign code fails in many ways.
        if "timm" not in sys.modules or not type(module).__module__.startswith("timm."):
            raise
    return _trace(module, _timm_tracer())


class _Tracer(fx.Tracer):
    """Remembers what every module returned."""

    def __init__(
        self,
        leaves: tuple[type[nn.Module], ...] = (),
        functions: tuple[Callable[..., Any], ...] = (),
    ) -> None:
        super().__init__(autowrap_functions=functions)
        self.outputs: dict[str, fx.Node] = {}
        self._leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        path = self.path_of_module(m)
        self.outputs.pop(path, None)
        if isinstance(result, fx.Proxy):
            self.outputs[path] = result.node
        return result


def _trace(module: nn.Module, tracer: _Tracer) -> Traced:
    graph = tracer.trace(module)
    name = type(module).__name__
    return Traced(fx.GraphModule(tracer.root, graph, name), tracer.outputs)


@functools.cache
def _timm_parts() -> tuple[tuple[type[nn.Module], ...], tuple[FunctionType, ...]]:
    from timm.models import _features_fx as timm_fx

    return tuple(timm_fx.get_notrace_modules()), tuple(timm_fx.get_notrace_functions())


def _timm_tracer() -> _Tracer:
    leaves, functions = _timm_parts()
    return _Tracer(leaves, functions)


def is_called(
    node: Any, modules: dict[str, nn.Module], types: tuple[type[nn.Module], ...]
) -> TypeGuard[fx.Node]:
    """Whether the node calls a module of exactly one of these types."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return False
    return type(modules[str(node.target)]) in types

"""Do these weights belong to this architecture? Sizes read off the weights, mismatches by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from shards.errors import UsageError

# Counts training steps; inference does not read it, and many published files lack it.
_IGNORED = "num_batches_tracked"
# What DataParallel, torch.compile and Lightning put before every name.
_PREFIXES = ("module.", "_orig_mod.", "model.")
_SHOWN = 3


class Sizes(NamedTuple):
    """What the tensors of a classifier say about its two ends; None where they do not tell."""

    num_classes: int | None
    in_channels: int | None


def without_wrapper_prefix(
    weights: Mapping[str, Tensor], module: nn.Module
) -> Mapping[str, Tensor]:
    """`weights` without a prefix that a training wrapper put before every name.

    Nothing is dropped as long as any name is one of the module's own.
    """
    own = module.state_dict()
    for prefix in _PREFIXES:
        is_foreign = weights and not any(name in own for name in weights)
        if is_foreign and all(name.startswith(prefix) for name in weights):
            bare = {name[len(prefix) :]: tensor for name, tensor in weights.items()}
            return without_wrapper_prefix(bare, module)  # wrappers may be nested
    return weights


def read_sizes(module: nn.Module, weights: Mapping[str, Tensor]) -> Sizes:
    """Number of classes and of input channels that `weights` were made for.

    The classifier is the last matrix of the module in order of definition, the stem its first
    convolution; their sizes are read from the tensors of the same names in `weights`.
    """
    own = {name: tensor.ndim for name, tensor in module.state_dict().items()}
    last = next((name for name, ndim in reversed(own.items()) if ndim >= 2), None)
    first = next((name for name, ndim in own.items() if ndim == 4), None)
    classifier = None if last is None else weights.get(last)
    stem = None if first is None else weights.get(first)
    return Sizes(
        num_classes=None if classifier is None or classifier.ndim < 2 else classifier.shape[0],
        in_channels=None if stem is None or stem.ndim != 4 else stem.shape[1],
    )


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], *, what: str) -> None:
    """Copy `weights` into `module`, all of them and nothing else.

    Raises:
        UsageError: tensors are missing, unexpected or of another shape; the first three of each
            are named. `what` begins the message: the model and the file.
    """
    own = {n: t for n, t in module.state_dict().items() if not n.endswith(_IGNORED)}
    given = {n: t for n, t in weights.items() if not n.endswith(_IGNORED)}
    missing = [name for name in own if name not in given]
    unexpected = sorted(name for name in given if name not in own)
    misshapen = [
        f"{name} (file {tuple(given[name].shape)}, model {tuple(own[name].shape)})"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    complaints = [
        f"{title} ({len(names)}): {', '.join(names[:_SHOWN])}"
        + (", ..." if len(names) > _SHOWN else "")
        for title, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if complaints:
        raise UsageError(
            f"{what}: the weights are not of this architecture. Tensors {'; '.join(complaints)}. "
            "Give the weights of this model, or name the model that they belong to"
        )
    module.load_state_dict(given, strict=False)

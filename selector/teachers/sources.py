"""The three kinds of teacher names, and what each yields: zoo, black-box file, user's builder."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from torch import nn

from selector.teachers.black_box import load_black_box
from selector.teachers.fingerprint import digest_tensors
from selector.teachers.fit import load_weights, read_sizes, without_wrapper_prefix
from selector.teachers.preprocess import Preprocessing
from selector.teachers.spec import TeacherSpec
from selector.teachers.weights import file_name, read_weights
from selector.teachers.zoo import default_preprocessing, find_family
from shards.errors import UsageError


@dataclass(frozen=True)
class Source:
    """What one kind of name yields, before the checks that all kinds share."""

    module: nn.Module
    preprocessing: Preprocessing
    digest: str
    num_classes: int | None
    input_shape: tuple[int | None, ...] = (None, None, None, None)


def read_source(spec: TeacherSpec, *, device: str) -> Source:
    """The network that `spec` names, with its weights, not yet checked.

    Raises:
        UsageError, StorageError: as `load_teacher`.
    """
    if spec.name.startswith("file:"):
        return _from_file(spec, device)
    if spec.name.startswith("py:"):
        return _from_builder(spec)
    return _from_zoo(spec)


def _from_zoo(spec: TeacherSpec) -> Source:
    family, variant = find_family(spec.name)
    uri = spec.weights
    if uri is None:
        if family.packaged_weights is None:
            raise UsageError(
                f"{spec.name} needs weights: --weights FILE_OR_URL, "
                f"for example {family.weights_hint(variant)}"
            )
        uri = family.packaged_weights(variant)
    stock = (spec.num_classes or family.class_count(variant), family.in_channels)
    module = family.build(variant, *stock)
    weights = without_wrapper_prefix(read_weights(uri), module)
    sizes = read_sizes(module, weights)
    wanted = (spec.num_classes or sizes.num_classes or stock[0], sizes.in_channels or stock[1])
    if wanted != stock:
        module = family.build(variant, *wanted)
    load_weights(module, weights, what=f"{spec.name} with {uri}")
    own = family.preprocessing(variant, file_name(uri))
    return Source(
        module=module,
        preprocessing=_preprocessing(spec, own=own),
        digest=digest_tensors(module.state_dict()),
        num_classes=spec.num_classes,
        input_shape=(None, wanted[1], None, None),
    )


def _from_file(spec: TeacherSpec, device: str) -> Source:
    if spec.weights is not None:
        raise UsageError(f"{spec.name} carries its weights itself; leave --weights out")
    box = load_black_box(spec.name.removeprefix("file:"), device=device, allow_code=spec.allow_code)
    return Source(
        module=box.module,
        preprocessing=_preprocessing(spec, own=None),
        digest=box.digest,
        num_classes=spec.num_classes,
        input_shape=box.module.input_shape,
    )


def _from_builder(spec: TeacherSpec) -> Source:
    """Call `builder()`; it returns a module, or a module and its Preprocessing."""
    module_name, _, function = spec.name.removeprefix("py:").partition(":")
    if not spec.allow_code:
        raise UsageError(f"{spec.name} runs your code; if that is meant, add --allow-code")
    try:
        builder = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{spec.name}: {error}; expected py:package.module:function, importable from here "
            "(set PYTHONPATH)"
        ) from error
    built = builder()
    module, own = built if isinstance(built, tuple) else (built, None)
    if not isinstance(module, nn.Module) or not isinstance(own, Preprocessing | None):
        raise UsageError(
            f"{spec.name}() returned {type(built).__name__}; expected an nn.Module, or a tuple of "
            "one and a Preprocessing"
        )
    if spec.weights is not None:
        weights = without_wrapper_prefix(read_weights(spec.weights), module)
        load_weights(module, weights, what=f"{spec.name} with {spec.weights}")
    return Source(
        module=module,
        preprocessing=_preprocessing(spec, own=own),
        digest=digest_tensors(module.state_dict()),
        num_classes=spec.num_classes,
    )


def _preprocessing(spec: TeacherSpec, *, own: Preprocessing | None) -> Preprocessing:
    """The teacher's own transform with what the spec changes."""
    given = dict(spec.preprocessing or {})
    preset = given.pop("preset", None)
    if preset is not None:
        own = default_preprocessing(preset, weights_name=file_name(spec.weights or ""))
    if own is None and given.keys() <= {"decode"}:
        raise UsageError(
            f"{spec.name} does not say how its input is made. Give the teacher's `preprocessing`: "
            "{preset: torchvision/resnet50}, or its fields: "
            "{channels: 3, resize: 256, resize_mode: short_side, crop: 224, interpolation: "
            "bilinear, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
        )
    return Preprocessing.from_dict({**(own.to_dict() if own is not None else {}), **given})

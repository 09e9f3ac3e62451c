"""True labels of a set: class numbers from .cls members, or from a field of .json members.

Only evaluation and the supervised objective read them; the unlabeled pool is the normal case.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from distiller.data.image_index import ImageIndex
from distiller.data.walk import indexed_samples, member_data
from shards.errors import UsageError


def label_extension(label: str) -> str:
    """Extension of the member that `data.label` names: `cls`, or `json` for `json:FIELD`."""
    return label.partition(":")[0]


def read_labels(
    index: ImageIndex,
    *,
    label: str,
    num_classes: int,
    class_names: Sequence[str] | None = None,
) -> Tensor:
    """Class of every image, (N,) int64 in [0, num_classes).

    Args:
        index: built with `label_ext=label_extension(label)`.
        label: `cls`, or `json:FIELD` whose value is a class number or one of `class_names`.
        num_classes: C.
        class_names: C names in the order of the classes, if known.

    Raises:
        UsageError: an image without a label, or a label that is no class; names the sample.
    """
    field = label.partition(":")[2] or None
    names = {name: number for number, name in enumerate(class_names or ())}
    missing = (index.label_size_N < 0).nonzero()[0]
    if missing.size:
        raise UsageError(
            f"{index.describe(int(missing[0]))}: no .{label_extension(label)} member, and "
            f"{missing.size} of {len(index)} images lack one; labels are needed here: give "
            "labelled shards, or say with data.label where the labels are"
        )
    labels = torch.empty(len(index), dtype=torch.int64)
    for image, sample in indexed_samples(index):
        where = index.describe(image)
        data = bytes(member_data(sample, int(index.label_offset_N[image])))
        labels[image] = _class_number(
            _value(data, field, where=where), names, num_classes, where=where
        )
    return labels


def _value(data: bytes, field: str | None, *, where: str) -> object:
    text = data.decode("utf-8", errors="replace").strip()
    if field is None:
        return text
    try:
        return json.loads(text)[field]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{where}: its .json has no field {field!r}; say with data.label which field it is"
        ) from error


def _class_number(value: object, names: dict[str, int], num_classes: int, *, where: str) -> int:
    if isinstance(value, str) and value in names:
        return names[value]
    is_number = isinstance(value, int) or (isinstance(value, str) and value.isascii())
    if is_number and str(value).isdigit() and int(str(value)) < num_classes:
        return int(str(value))
    raise UsageError(
        f"{where}: label {value!r} is no class; expected a number from 0 to {num_classes - 1}"
        + (" or one of the class names" if names else "")
    )

"""Results as plain JSON values: what `--json` prints is made here from whatever a verb returns."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Set
from pathlib import PurePath
from typing import Any


def to_plain(value: Any) -> Any:
    """`value` as JSON values: dataclasses and models become objects, bytes hexadecimal text.

    Numbers that JSON cannot say (nan, infinities) become null.

    Raises:
        TypeError: for a value that has no plain form; a verb's result must not hold one.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, Set):
        return sorted(to_plain(entry) for entry in value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "model_dump"):  # a pydantic model, without importing pydantic for the check
        return value.model_dump(mode="json")
    if hasattr(value, "item"):  # a numpy scalar
        return to_plain(value.item())
    raise TypeError(f"{type(value).__name__} has no plain form: {value!r}")


def to_json(value: Any) -> str:
    """One line of JSON in ASCII, so that any terminal, locale and file name survives it."""
    return json.dumps(to_plain(value), allow_nan=False)

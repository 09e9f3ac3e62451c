"""What the points of a map can be coloured by: any column of the run that is a number or a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MOST_NAMES = 250
"""Distinct values that still make categories; whole numbers with more are told as numbers."""

_LOG_RATIO = 1000.0


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: (N,) float32, NaN where a point has none.
        low, high: ends of the colour scale.
        log: the scale is logarithmic: the values span orders of magnitude and are positive.
    """

    name: str
    values: npt.NDArray[np.float32]
    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class Categories:
    """A column of names.

    Attributes:
        codes: (N,) uint8, the position in `names`; 255 where a point has none.
        names: in the order of the legend.
    """

    name: str
    codes: npt.NDArray[np.uint8]
    names: tuple[str, ...]


Column = Numbers | Categories

NOTHING = 255


def column_of(name: str, values: pa.ChunkedArray) -> Column | None:
    """A column as numbers or categories; None where it is neither, or empty of values.

    Floats are numbers. Truth values, texts and whole numbers are categories where at most
    `MOST_NAMES` of them are distinct; of more, whole numbers are numbers and texts are nothing.
    """
    if pa.types.is_floating(values.type):
        return numbers(name, values)
    if pa.types.is_boolean(values.type):
        return categories(name, values.cast(pa.string()), ("true", "false"))
    if not (pa.types.is_integer(values.type) or _is_text(values.type)):
        return None
    if pa.types.is_dictionary(values.type):
        values = values.cast(pa.string())
    distinct = values.drop_null().unique()
    if not len(distinct):
        return None
    if len(distinct) > MOST_NAMES:
        return numbers(name, values) if pa.types.is_integer(values.type) else None
    names = [str(value) for value in sorted(distinct.to_pylist())]
    return categories(name, values.cast(pa.string()), names)


def numbers(name: str, values: pa.ChunkedArray) -> Numbers | None:
    """None where no value is finite."""
    floats = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
    floats = np.where(np.isfinite(floats), floats, np.float32("nan"))
    finite = floats[np.isfinite(floats)].astype(np.float64)
    if not len(finite):
        return None
    # Outliers may not use up the scale.
    low, high = (float(v) for v in np.quantile(finite, (0.01, 0.99)))
    if low >= high:
        low, high = float(finite.min()), float(finite.max())
    log = low > 0 and high / low > _LOG_RATIO
    return Numbers(name, floats, low, high, log)


def categories(name: str, values: pa.ChunkedArray, names: Sequence[str]) -> Categories:
    """Texts as codes; what is not among the names (at most 255) has none."""
    at = pc.index_in(values, pa.array(names, pa.string())).fill_null(NOTHING)
    codes = at.to_numpy(zero_copy_only=False).astype(np.uint8)
    return Categories(name, codes, tuple(names))


def _is_text(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_string(data_type) or pa.types.is_dictionary(data_type))

"""Vectors in a table: one fixed-size binary value a row, half precision, read without copies.

The same numbers as a list column cost twenty times as long to write and five times to read, so a
vector is D float16 numbers in 2 D bytes (little endian); D and the type stand in the field's
metadata. A row without a vector (its image failed) is null.

Legend: N = rows, D = dimensions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.tables.schema import column
from shards.errors import UsageError

_DTYPE = np.dtype("<f2")
_DIM_KEY, _DTYPE_KEY = b"dim", b"dtype"


def vector_column(name: str, dim: int, description: str) -> pa.Field:
    """The field of a column of vectors with `dim` >= 1 dimensions."""
    if dim < 1:
        raise ValueError(f"{name}: a vector of {dim} dimensions; expected at least 1")
    plain = column(name, pa.binary(dim * _DTYPE.itemsize), description)
    return plain.with_metadata({**plain.metadata, _DIM_KEY: str(dim), _DTYPE_KEY: "float16"})


def is_vector(field: pa.Field) -> bool:
    """Whether a column holds vectors."""
    return _DIM_KEY in (field.metadata or {}) and pa.types.is_fixed_size_binary(field.type)


def vector_dim(field: pa.Field, *, where: str = "table") -> int:
    """D of a column of vectors.

    Args:
        where: for the message.

    Raises:
        UsageError: the column holds no vectors, or vectors of another type of number.
    """
    metadata = field.metadata or {}
    if not is_vector(field):
        raise UsageError(f"{where}: column {field.name} is {field.type}, expected vectors")
    dim, dtype = int(metadata[_DIM_KEY]), metadata.get(_DTYPE_KEY, b"").decode()
    if dtype != "float16" or field.type.byte_width != dim * _DTYPE.itemsize:
        raise UsageError(
            f"{where}: column {field.name} holds vectors of {dim} x {dtype or 'unknown'} in "
            f"{field.type.byte_width} bytes; this coursepack reads float16"
        )
    return dim


def encode_vectors(
    vectors_ND: npt.NDArray[np.floating], valid_N: npt.NDArray[np.bool_] | None = None
) -> pa.FixedSizeBinaryArray:
    """Vectors as a column's values.

    Args:
        vectors_ND: (N, D) of any float type, rounded to float16. What exceeds its range (65,504)
            becomes infinite: bring features to a sensible scale first.
        valid_N: (N,) False = null; the row of `vectors_ND` then does not matter.
    """
    num_rows, dim = vectors_ND.shape
    with np.errstate(over="ignore"):
        data = np.ascontiguousarray(vectors_ND, dtype=_DTYPE)
    validity = None
    if valid_N is not None and not valid_N.all():
        data = np.where(valid_N[:, None], data, _DTYPE.type(0))  # bytes must not depend on junk
        validity = pa.py_buffer(np.packbits(valid_N, bitorder="little").tobytes())
    buffers = [validity, pa.py_buffer(data.tobytes())]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(dim * _DTYPE.itemsize), num_rows, buffers)


def decode_vectors(
    values: pa.Array | pa.ChunkedArray,
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """The vectors of a column's values: (N, D) float16, zeros where null, and (N,) bool valid.

    The vectors of an array without nulls share its memory and cannot be written to.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # no chunk at all
            values = pa.concat_arrays(values.chunks or [pa.array([], values.type)])
    width = values.type.byte_width
    valid_N = np.ones(len(values), bool)
    if values.null_count:
        valid_N = values.is_valid().to_numpy(zero_copy_only=False)
        values = values.fill_null(bytes(width))
    buffer = values.buffers()[1]
    if not len(values) or buffer is None:
        return np.zeros((len(values), width // _DTYPE.itemsize), _DTYPE), valid_N
    raw = np.frombuffer(buffer, np.uint8)[values.offset * width :][: len(values) * width]
    return raw.view(_DTYPE).reshape(len(values), -1), valid_N

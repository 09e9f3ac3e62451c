import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from selector.tables.schema import column
from selector.tables.vectors import (
    decode_vectors,
    encode_vectors,
    is_vector,
    vector_column,
    vector_dim,
)
from shards.errors import UsageError


@given(
    vectors=hnp.arrays(
        np.float16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
    ),
    data=st.data(),
)
def test_vectors_come_back_bit_by_bit(
    vectors: npt.NDArray[np.float16], data: st.DataObject
) -> None:
    valid = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors)))
    )
    found, found_valid = decode_vectors(encode_vectors(vectors, valid))
    assert np.array_equal(found_valid, valid)
    assert np.array_equal(found[valid].view(np.uint16), vectors[valid].view(np.uint16))
    assert not found[~valid].any()


def test_a_slice_and_several_chunks_are_read_where_they_lie() -> None:
    vectors = np.arange(24, dtype=np.float32).reshape(8, 3)
    values = encode_vectors(vectors, np.arange(8) != 2)
    assert np.array_equal(decode_vectors(values.slice(3, 4))[0], vectors[3:7])
    chunked = pa.chunked_array([values.slice(0, 4), values.slice(4)])
    found, valid = decode_vectors(chunked)
    assert valid.tolist() == [True, True, False, True, True, True, True, True]
    assert np.array_equal(found[valid], vectors[valid])
    nothing, _ = decode_vectors(pa.chunked_array([], values.type))
    assert nothing.shape == (0, 3)


def test_bytes_of_a_null_row_do_not_matter() -> None:
    one = encode_vectors(np.ones((2, 2)), np.array([True, False]))
    other = encode_vectors(np.array([[1, 1], [np.nan, 7]]), np.array([True, False]))
    assert one.buffers()[1].to_pybytes() == other.buffers()[1].to_pybytes()


def test_the_field_tells_dimensions_also_after_a_file() -> None:
    field = vector_column("features", 3, "stage features")
    file = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([encode_vectors(np.ones((2, 3)))], schema=pa.schema([field])), file
    )
    found = pq.read_schema(file).field("features")
    assert is_vector(found)
    assert vector_dim(found) == 3


def test_what_is_no_vector_is_refused() -> None:
    with pytest.raises(UsageError, match="run/x: column key is string, expected vectors"):
        vector_dim(column("key", pa.string(), "name"), where="run/x")
    field = vector_column("features", 3, "stage features")
    other = field.with_metadata({**field.metadata, b"dtype": b"bfloat16"})
    with pytest.raises(UsageError, match="3 x bfloat16"):
        vector_dim(other)
    with pytest.raises(ValueError, match="0 dimensions"):
        vector_column("features", 0, "nothing")

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selector.tables import schema
from shards.errors import UsageError

SHARD = st.integers(0, 2**31 - 1)


@given(SHARD, SHARD)
def test_row_id_holds_shard_and_index(shard_id: int, index: int) -> None:
    value = schema.row_id(shard_id, index)
    assert 0 <= value < 2**63
    assert schema.split_row_id(value) == (shard_id, index)


def test_row_ids_sort_by_shard_then_index() -> None:
    assert schema.row_id(0, 2**31 - 1) < schema.row_id(1, 0) < schema.row_id(1, 1)


@pytest.mark.parametrize(("shard_id", "index"), [(-1, 0), (0, -1), (2**31, 0), (0, 2**31)])
def test_row_id_refuses_what_does_not_fit(shard_id: int, index: int) -> None:
    with pytest.raises(ValueError, match="both must be in 0"):
        schema.row_id(shard_id, index)


def test_scores_columns_are_those_of_the_specification() -> None:
    types = {field.name: field.type for field in schema.scores_schema()}
    category = pa.dictionary(pa.int32(), pa.string())
    assert types == {
        "row_id": pa.int64(),
        "shard_id": pa.int32(),
        "index": pa.int32(),
        "key": pa.string(),
        "shard": category,
        "status": category,
        "error": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "num_bytes": pa.int64(),
        "content_hash": pa.binary(16),
        "phash": pa.uint64(),
        "pseudo_label": pa.int32(),
        "max_prob": pa.float32(),
        "noise_value": pa.float32(),
        "entropy": pa.float32(),
        "margin": pa.float32(),
    }


def test_every_column_says_what_it_holds() -> None:
    for table in (schema.scores_schema(), schema.members_schema(), schema.selection_schema()):
        for field in table:
            assert field.metadata[b"description"]
            assert {b"unit", b"direction"} <= set(field.metadata)


def test_direction_is_metadata_of_the_column() -> None:
    scores = schema.scores_schema()
    assert schema.direction_of(scores.field("noise_value")) == "lower"
    assert schema.direction_of(scores.field("margin")) == "higher"
    assert schema.direction_of(scores.field("width")) == "none"
    assert schema.direction_of(pa.field("plain", pa.int32())) == "none"


def check(found: pa.Schema, kind: str = "scores") -> None:
    schema.check_schema(found, kind=kind, where="x.parquet")


def test_known_tables_pass() -> None:
    check(schema.scores_schema())
    check(schema.members_schema(), "members")
    check(schema.selection_schema(), "selection")
    check(schema.fact_schema("pu", [schema.column("pu_prob", pa.float32(), "p")]), "pu")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (pa.schema([schema.row_id_column()]), "no coursepack table"),
        (
            schema.scores_schema().with_metadata(
                {b"coursepack.table": b"scores", b"coursepack.schema_version": b"99"}
            ),
            "schema version 99, this coursepack reads version 1",
        ),
        (schema.members_schema(), "holds a members table, expected scores"),
        (
            schema.scores_schema().append(pa.field("sharpness", pa.float32())),
            "column sharpness is unknown",
        ),
        (
            schema.scores_schema().remove(schema.scores_schema().get_field_index("margin")),
            "column margin is missing",
        ),
        (
            schema.scores_schema().set(
                schema.scores_schema().get_field_index("width"), pa.field("width", pa.int64())
            ),
            "column width is int64, expected int32",
        ),
    ],
)
def test_unknown_tables_are_refused_by_name(found: pa.Schema, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check(found)
    assert "x.parquet" in str(caught.value)


def test_a_fact_table_needs_row_id() -> None:
    with pytest.raises(UsageError, match="row_id is missing"):
        check(schema.table_schema("pu", [pa.field("pu_prob", pa.float32())]), "pu")

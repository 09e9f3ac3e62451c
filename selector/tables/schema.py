"""The columns of every table: names, types, units, directions, and who one row is.

This module is the schema. Writers build tables with it, readers refuse what differs from it.
"""

from __future__ import annotations

from typing import TypeVar, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.scores.catalog import SCORES
from shards.errors import ImageStatus, UsageError

SCHEMA_VERSION = 1
"""Raised whenever a column is added, dropped or changes its meaning."""

IntOrArray = TypeVar("IntOrArray", int, npt.NDArray[np.int64])

_KIND_KEY = b"coursepack.table"
_VERSION_KEY = b"coursepack.schema_version"
_MAX_SHARD = 2**31 - 1
_MAX_INDEX = 2**31 - 1

STATUSES: tuple[str, ...] = get_args(ImageStatus)
_CATEGORY = pa.dictionary(pa.int32(), pa.string())


def row_id(shard_id: int, index: int) -> int:
    """Identity of an image: `shard_id << 32 | index`.

    The images of one shard are consecutive, so `row_id(shard, 0) + np.arange(n)` makes many.

    Raises:
        ValueError: shard_id or index outside 0 .. 2^31 - 1.
    """
    if not (0 <= shard_id <= _MAX_SHARD and 0 <= index <= _MAX_INDEX):
        raise ValueError(f"shard_id {shard_id}, index {index}: both must be in 0 .. 2^31 - 1")
    return shard_id << 32 | index


def split_row_id(row_id: IntOrArray) -> tuple[IntOrArray, IntOrArray]:
    """`(shard_id, index in the shard)` of one row_id or of an array (N,) of them."""
    return row_id >> 32, row_id & 0xFFFFFFFF


def column(
    name: str,
    data_type: pa.DataType,
    description: str,
    *,
    unit: str = "",
    direction: str = "none",
    nullable: bool = True,
) -> pa.Field:
    """A field that says what it holds.

    Args:
        unit: of the values, empty for names and identifiers.
        direction: `lower` or `higher` is better for a student, `none` where there is no better.
    """
    if direction not in ("lower", "higher", "none"):
        raise ValueError(f"direction {direction!r}: expected lower, higher or none")
    metadata = {"unit": unit, "direction": direction, "description": description}
    return pa.field(name, data_type, nullable=nullable, metadata=metadata)


def direction_of(field: pa.Field) -> str:
    """`lower`, `higher` or `none`: which end of a column a selection takes first."""
    return (field.metadata or {}).get(b"direction", b"none").decode()


def table_schema(kind: str, fields: list[pa.Field]) -> pa.Schema:
    """A schema that carries its table's kind and this module's version."""
    metadata = {_KIND_KEY: kind.encode(), _VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return pa.schema(fields, metadata=metadata)


def row_id_column() -> pa.Field:
    """The column that joins every table of a run."""
    return column("row_id", pa.int64(), "shard_id << 32 | index in the shard", nullable=False)


def fact_schema(kind: str, fields: list[pa.Field]) -> pa.Schema:
    """Schema of a fact table: `row_id` first, then `fields`."""
    return table_schema(kind, [row_id_column(), *fields])


def scores_schema() -> pa.Schema:
    """One row per image of the pool, failed ones included; what a failed row lacks is null."""
    return table_schema(
        "scores",
        [
            row_id_column(),
            column("shard_id", pa.int32(), "position of the shard in the pool manifest"),
            column("index", pa.int32(), "position of the sample in its shard, from 0"),
            column("key", pa.string(), "name up to the first dot; need not be unique"),
            column("shard", _CATEGORY, "file name of the shard"),
            column("status", _CATEGORY, "ok, or why there are no scores: " + ", ".join(STATUSES)),
            column("error", pa.string(), "what went wrong; null when status is ok"),
            column("width", pa.int32(), "width of the image as decoded: upright", unit="pixels"),
            column("height", pa.int32(), "height of the image as decoded: upright", unit="pixels"),
            column("num_bytes", pa.int64(), "size of the encoded image", unit="bytes"),
            column("content_hash", pa.binary(16), "xxh3-128 of the encoded image, big endian"),
            column("phash", pa.uint64(), "perceptual hash; near images differ in few bits"),
            column("pseudo_label", pa.int32(), "class with the largest logit", unit="class"),
            *(_score_column(name) for name in ("max_prob", "noise_value", "entropy", "margin")),
        ],
    )


def _score_column(name: str) -> pa.Field:
    score = SCORES[name]
    return column(
        name,
        pa.float32(),
        f"{score.description}, in {score.range}",
        unit=score.unit,
        direction=score.direction,
    )


def members_schema() -> pa.Schema:
    """One row per file of a sample: the byte range that holds it in the (uncompressed) tar."""
    return table_schema(
        "members",
        [
            row_id_column(),
            column("name", pa.string(), "name in the tar", nullable=False),
            column("extension", _CATEGORY, "what follows the first dot of the base name"),
            column("offset", pa.int64(), "first byte of the data in the tar stream", unit="bytes"),
            column("size", pa.int64(), "length of the data", unit="bytes"),
        ],
    )


def selection_schema() -> pa.Schema:
    """One row per selected image, sorted by row_id."""
    return table_schema(
        "selection",
        [
            row_id_column(),
            column("weight", pa.float32(), "weight in training; 1 unless a step says otherwise"),
            column("reason", _CATEGORY, "the step that took the image in"),
        ],
    )


_KNOWN = {"scores": scores_schema, "members": members_schema, "selection": selection_schema}


def check_schema(schema: pa.Schema, *, kind: str, where: str) -> None:
    """Refuse a table that this version of coursepack does not know, by name.

    Args:
        schema: as found in a file.
        kind: the table it should be; a kind not of this module is a fact table, of which only
            the version and `row_id` are known.
        where: the file, for the message.

    Raises:
        UsageError: no coursepack table, another kind, another schema version, or a column that
            is unknown, missing or of another type.
    """
    metadata = schema.metadata or {}
    found_kind, found_version = metadata.get(_KIND_KEY), metadata.get(_VERSION_KEY)
    if found_kind is None or found_version is None:
        raise UsageError(f"{where} is no coursepack table (its metadata names no schema version)")
    if found_version.decode() != str(SCHEMA_VERSION):
        raise UsageError(
            f"{where} has schema version {found_version.decode()}, this coursepack reads version "
            f"{SCHEMA_VERSION}; use the coursepack that wrote it, or score into a new run"
        )
    if found_kind.decode() != kind:
        raise UsageError(f"{where} holds a {found_kind.decode()} table, expected {kind}")
    expected = _KNOWN[kind]() if kind in _KNOWN else fact_schema(kind, [])
    problems = [
        f"column {field.name} is missing"
        if field.name not in schema.names
        else f"column {field.name} is {schema.field(field.name).type}, expected {field.type}"
        for field in expected
        if field.name not in schema.names or schema.field(field.name).type != field.type
    ]
    if kind in _KNOWN:
        unknown = [name for name in schema.names if name not in expected.names]
        problems += [f"column {name} is unknown" for name in unknown]
    if problems:
        raise UsageError(f"{where}: {'; '.join(problems)}; was it written by another coursepack?")

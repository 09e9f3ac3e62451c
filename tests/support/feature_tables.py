"""Feature tables for a made-up run: vectors without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from selector.tables.facts import FactTable, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list
from selector.tables.schema import fact_schema
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part
from shards import storage
from tests.support.runs import SyntheticRun


def write_features(
    run: SyntheticRun,
    vectors: np.ndarray,
    *,
    fact_id: str = "feedfeedfeed",
    teacher: str = "t" * 64,
    about: Mapping[str, Any] | None = None,
) -> FactTable:
    """A feature table beside the scores: (N, D), one row per row of the run; failed ones are null.

    Parts that are there already are left alone, so a grown run grows its table.
    """
    ok = np.array([status == "ok" for status in run.scores["status"].to_pylist()])
    return write_vectors(
        run.layout,
        run.scores["row_id"].to_numpy(),
        vectors,
        ok,
        fact_id=fact_id,
        about={"teacher_fingerprint": teacher, **(about or {})},
    )


def write_vectors(
    layout: RunLayout,
    row_ids: np.ndarray,
    vectors: np.ndarray,
    valid: np.ndarray,
    *,
    fact_id: str,
    about: Mapping[str, Any],
) -> FactTable:
    """As `write_features`, for rows in any order of shards."""
    dim = vectors.shape[1]
    schema = fact_schema("features", [vector_column("features", dim, "made up")])
    parts = []
    for source in read_table_list(layout, "scores").parts:
        stem = storage.name(source).removesuffix(".parquet")
        part = layout.facts_part("features", fact_id, stem)
        parts.append(part)
        if storage.exists(part):
            continue
        rows = np.flatnonzero(row_ids >> 32 == int(stem.split("-")[0]))
        arrays = [pa.array(row_ids[rows]), encode_vectors(vectors[rows], valid[rows])]
        write_part(part, pa.Table.from_arrays(arrays, schema=schema))
    return write_fact_table(layout, "features", fact_id, parts, about={"dim": dim, **about})

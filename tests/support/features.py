"""Made-up features of a run: what a teacher would leave, in clusters, without a teacher."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.facts import FactTable, make_fact_id, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import table_parts
from selector.tables.schema import fact_schema
from selector.tables.vectors import encode_vectors, vector_column
from selector.tables.write import write_part
from shards import storage


def write_features(layout: RunLayout, *, dim: int = 8, seed: int = 0, name: str = "") -> FactTable:
    """Vectors around one centre for each pseudo-label; failed images have none."""
    rng = np.random.default_rng(seed)
    centres = 4 * rng.standard_normal((256, dim))
    fact_id = make_fact_id({"dim": dim, "seed": seed})
    schema = fact_schema("features", [vector_column("features", dim, "made up")])
    parts = []
    for scores in table_parts(layout, "scores"):
        table = pq.read_table(scores, columns=["row_id", "pseudo_label"])
        labels = table["pseudo_label"].fill_null(-1).to_numpy()
        vectors = centres[labels] + rng.standard_normal((len(labels), dim))
        columns = [table["row_id"].combine_chunks(), encode_vectors(vectors, labels >= 0)]
        part = storage.name(scores).removesuffix(".parquet")
        parts.append(layout.facts_part("features", fact_id, part))
        write_part(parts[-1], pa.table(columns, schema=schema))
    about = {"mode": "full", "dim": dim, "stages": [{"name": "last", "dim": dim}]}
    return write_fact_table(layout, "features", fact_id, parts, about=about, name=name)

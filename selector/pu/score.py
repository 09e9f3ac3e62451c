"""PU scores of a pool from its cached features: a stream over parts, aligned row by row.

    run/facts/pu/<id>/<part>.parquet   row_id, pu_score, pu_prob; null where there are no features
    run/pu/<id>/scored.json            part -> etag of the features it was made from

A part whose features did not change is not made again, so new shards cost what they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa

from selector.pu.classifier import HeadClassifier, refuse_other_features
from selector.pu.pool_rows import checked_vectors
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from selector.tables.schema import column, fact_schema
from selector.tables.write import open_part
from shards import atomic, storage

PU_SCHEMA = fact_schema(
    "pu",
    [
        column(
            "pu_score",
            pa.float32(),
            "raw logit F of the PU classifier; above 0 the image is called positive",
            direction="higher",
        ),
        column(
            "pu_prob",
            pa.float32(),
            "calibrated probability that the image is positive, in [0, 1]",
            direction="higher",
        ),
    ],
)

_SAVE_EVERY = 64


def score_parts(
    layout: RunLayout,
    features: FactTable,
    classifier: HeadClassifier,
    pu_id: str,
    *,
    on_part: Callable[[int, int], None] | None = None,
) -> tuple[list[str], int]:
    """Score every part of a feature table that has no scores yet.

    Args:
        on_part: called with (parts done, parts in all).

    Returns:
        URIs of all parts of the PU table, and how many were made now.

    Raises:
        UsageError: features of another teacher, or NaN in them.
        StorageError: a part cannot be read or written.
    """
    refuse_other_features(classifier, features)
    record = storage.join(layout.pu_dir(pu_id), "scored.json")
    cure = "remove it; the same command scores those parts again"
    scored = read_json(record, cure=cure) if storage.exists(record) else {}
    uris, made = [], 0
    for done, source in enumerate(features.table.parts, start=1):
        stem = storage.name(source).removesuffix(".parquet")
        uri, etag = layout.facts_part("pu", pu_id, stem), storage.stat(source).etag
        if scored.get(stem) != etag or not storage.exists(uri):
            _score_part(features, source, uri, classifier)
            scored[stem] = etag
            made += 1
            if made % _SAVE_EVERY == 0:
                _save(record, scored)
        uris.append(uri)
        if on_part is not None:
            on_part(done, len(features.table.parts))
    if made:
        _save(record, scored)
    return uris, made


def _score_part(features: FactTable, source: str, uri: str, classifier: HeadClassifier) -> None:
    with open_part(uri, PU_SCHEMA) as append:
        for chunk in checked_vectors(features, source):
            scores, probabilities = classifier(chunk.vectors)
            columns = [
                pa.array(chunk.row_ids),
                pa.array(scores, mask=~chunk.valid),
                pa.array(probabilities, mask=~chunk.valid),
            ]
            append(pa.Table.from_arrays(columns, schema=PU_SCHEMA))


def _save(record: str, scored: dict[str, str]) -> None:
    atomic.write_bytes(record, json.dumps(scored, indent=0, sort_keys=True).encode() + b"\n")

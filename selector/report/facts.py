"""What a report knows of a run and a selection: everything that it shows, but for the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from selector.report.stats import IntArray, LogBins


@dataclass(frozen=True)
class Origin:
    """Who made the facts.

    Attributes:
        teacher: name of the teacher, empty if not recorded; `fingerprint` identifies its weights.
        semantic_hash: of the configuration of the scores.
        scored_at: time of the last call that scored, ISO 8601 in UTC; empty if not recorded.
        version: of coursepack at that call.
        image_ext: which members count as images, in order of preference.
    """

    teacher: str
    fingerprint: str
    semantic_hash: str
    scored_at: str
    version: str
    image_ext: tuple[str, ...]


@dataclass(frozen=True)
class Histogram:
    """Images per bin of the noise value, (num_bins,) each; selected ones are in `pool` too."""

    bins: LogBins
    pool: IntArray
    selected: IntArray


@dataclass(frozen=True)
class Classes:
    """Images per pseudo-label, (C,) each, and the classes' names or numbers."""

    names: tuple[str, ...]
    pool: IntArray
    selected: IntArray


@dataclass(frozen=True)
class Failure:
    """One reason why images have no scores, with the first of them."""

    status: str
    count: int
    examples: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class RunFacts:
    """The whole report in numbers and words.

    Attributes:
        run: root of the run; `selection` the name of the selection.
        num_rows: images of the pool, failed ones included.
        status_counts: images per status, `ok` first, then by count.
        kept, dropped: candidates for the gallery: row_id, shard_id, key, pseudo_label,
            noise_value, content_hash of scored rows.
        thinned: True if those are a sample.
        failures: why images have no scores, by count.
        stats: stats.json of the selection; `recipe` the text of recipe.yaml.
        shards: the pool manifest (shard_id, uri, num_bytes, etag).
    """

    run: str
    selection: str
    origin: Origin
    num_rows: int
    num_selected: int
    status_counts: tuple[tuple[str, int], ...]
    histogram: Histogram | None
    classes: Classes
    kept: pa.Table
    dropped: pa.Table
    thinned: bool
    failures: tuple[Failure, ...]
    stats: Mapping[str, Any]
    recipe: str
    shards: pa.Table

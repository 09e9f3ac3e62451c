"""What every panel of a report may need to know of a run and its selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Origin:
    """Who made the facts.

    Attributes:
        teacher: name of the teacher, empty if not recorded; `fingerprint` identifies its weights.
        semantic_hash: of the configuration of the scores.
        scored_at: time of the last call that scored, ISO 8601 in UTC; empty if not recorded.
        version: of coursepack at that call.
        image_ext: which members count as images, in order of preference.
        views: over which views of an image the scores are averages; "one" = none are.
    """

    teacher: str
    fingerprint: str
    semantic_hash: str
    scored_at: str
    version: str
    image_ext: tuple[str, ...]
    views: str = "one"


@dataclass(frozen=True)
class RunFacts:
    """The run in a few numbers and words.

    Attributes:
        run: root of the run; `selection` the name of the selection.
        num_rows: images of the pool, failed ones included.
        status_counts: images per status, `ok` first, then by count.
        class_names: of every class that a pseudo-label names; numbers where names were not given.
        stats: stats.json of the selection; `recipe` the text of recipe.yaml.
        shards: the pool manifest (shard_id, uri, num_bytes, etag).
        reach: shard_ids whose images may be shown, see `selector.report.reach`.
    """

    run: str
    selection: str
    origin: Origin
    num_rows: int
    num_selected: int
    status_counts: tuple[tuple[str, int], ...]
    class_names: tuple[str, ...]
    stats: Mapping[str, Any]
    recipe: str
    shards: pa.Table
    reach: frozenset[int]

    def class_name(self, label: int | None) -> str:
        """The name of a class; empty for an image without a pseudo-label."""
        return "" if label is None else self.class_names[label]

    def uri(self, shard_id: int) -> str:
        """Where a shard lay when it was scored."""
        ids = self.shards["shard_id"].to_pylist()
        return str(self.shards["uri"][ids.index(shard_id)].as_py()) if shard_id in ids else ""

"""Exact duplicates: images of the same bytes. DuckDB finds the hashes that occur twice."""

from __future__ import annotations

import numpy as np

from selector.neighbors.duplicate_table import Removed
from selector.neighbors.ranking import Ranking

TWINS = (
    "content_hash IN (SELECT content_hash FROM scores WHERE status = 'ok' "
    "GROUP BY content_hash HAVING count(*) > 1)"
)
"""For `rank_rows`: only the images that have a twin are ranked, so memory is theirs alone."""


def find_exact(ranking: Ranking) -> Removed:
    """Of images with the same content hash, remove all but the best-ranked."""
    hashes = np.stack([ranking.hash_high, ranking.hash_low], axis=1)
    _, first, group = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    keeper = ranking.row_ids[first[group.reshape(-1)]]  # the first of a group is its best
    removed = keeper != ranking.row_ids
    return Removed(ranking.row_ids[removed], keeper[removed], {})

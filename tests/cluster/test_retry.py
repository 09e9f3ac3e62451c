from __future__ import annotations

import pytest

from cluster.retry import Verdict, flatten, judge
from shards.errors import CoursepackError, ShardError, StorageError, UsageError


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (UsageError("wrong weights"), "abort"),
        (ImportError("no module"), "abort"),
        (StorageError("full", disk_full=True), "abort"),
        (StorageError("forbidden"), "quarantine"),
        (ShardError("no tar", shard="x.tar"), "quarantine"),
        (StorageError("slow down", retriable=True), "retry"),
        (CoursepackError("whatever"), "retry"),
        (MemoryError(), "retry"),
    ],
)
def test_what_follows_from_a_failure(error: Exception, verdict: Verdict) -> None:
    assert judge(error) == verdict
    failure = flatten(error)
    assert failure.verdict == verdict
    assert failure.message
    assert failure.transient == (isinstance(error, StorageError) and error.retriable)

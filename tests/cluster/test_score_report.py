"""What a scoring call says about the pool it was given."""

from __future__ import annotations

from cluster.pool_manifest import PoolState
from cluster.score_report import pool_warnings
from shards.manifest import PoolManifest, ShardEntry


def entry(shard_id: int, uri: str) -> ShardEntry:
    return ShardEntry(shard_id, uri, 1000, "etag")


def state(
    *,
    todo: tuple[ShardEntry, ...] = (),
    missing: tuple[ShardEntry, ...] = (),
    left_out: tuple[ShardEntry, ...] = (),
) -> PoolState:
    return PoolState(PoolManifest(), todo, (), missing, left_out)


def test_a_pool_as_it_was_needs_no_words() -> None:
    assert pool_warnings(state(todo=(entry(0, "/a/0.tar"),)), ()) == []


def test_the_first_shard_is_named_and_the_others_are_counted() -> None:
    gone = tuple(entry(number, f"/a/{number}.tar") for number in range(1200))
    (warning,) = pool_warnings(state(missing=gone), ())
    assert "shard /a/0.tar and 1,199 more" in warning
    assert "cannot be exported" in warning
    (warning,) = pool_warnings(state(left_out=gone[:1]), ())
    assert "never scored" in warning
    assert "shard /a/0.tar;" in warning
    (warning,) = pool_warnings(state(), gone[:2])
    assert "moved" in warning


def test_a_copied_pool_is_about_to_be_doubled() -> None:
    warnings = pool_warnings(
        state(missing=(entry(0, "/a/0.tar"),), todo=(entry(1, "/b/0.tar"),)), ()
    )
    assert any("twice" in warning for warning in warnings)
    other = pool_warnings(state(missing=(entry(0, "/a/0.tar"),), todo=(entry(1, "/b/1.tar"),)), ())
    assert not any("twice" in warning for warning in other)

"""reach: every plain shard, and no more of the compressed ones than may be read through."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from selector.report.reach import LOCAL_BYTES, MAX_STREAMED, REMOTE_BYTES, shards_in_reach


def pool(*files: tuple[str, int]) -> pa.Table:
    return pa.table(
        {
            "shard_id": list(range(len(files))),
            "uri": [uri for uri, _ in files],
            "num_bytes": [size for _, size in files],
        }
    )


def test_plain_shards_are_in_reach_whatever_their_size() -> None:
    assert shards_in_reach(pool(("/p/a.tar", 10**15), ("s3://b/c.tar", 10**15)), {}) == {0, 1}


def test_small_compressed_pools_are_read_whole() -> None:
    files = [(f"/p/{i}.tar.gz", LOCAL_BYTES // 4) for i in range(4)]
    assert shards_in_reach(pool(*files), {}) == {0, 1, 2, 3}


def test_of_large_compressed_pools_the_shards_with_most_selected_images() -> None:
    files = [("/p/plain.tar", 5), *((f"/p/{i}.tar.gz", LOCAL_BYTES) for i in range(5))]
    assert shards_in_reach(pool(*files), {3: 7, 5: 9, 4: 7}) == {0, 3, 5}


def test_a_remote_compressed_pool_has_a_smaller_budget() -> None:
    files = [(f"s3://pool/{i}.tgz", REMOTE_BYTES // 2) for i in range(3)]
    assert shards_in_reach(pool(*files), {}) == {0, 1}


@given(st.lists(st.tuples(st.booleans(), st.integers(1, LOCAL_BYTES)), max_size=12))
def test_plain_ones_are_never_left_out(shards: list[tuple[bool, int]]) -> None:
    files = [(f"/p/{i}.tar{'.gz' * packed}", size) for i, (packed, size) in enumerate(shards)]
    reach = shards_in_reach(pool(*files), {})
    assert reach >= {i for i, (packed, _) in enumerate(shards) if not packed}
    streamed = [size for i, (packed, size) in enumerate(shards) if packed and i in reach]
    assert len(streamed) <= MAX_STREAMED or sum(streamed) <= LOCAL_BYTES

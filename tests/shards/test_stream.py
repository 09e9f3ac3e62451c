from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import stream
from shards.errors import StorageError
from shards.stream import ForwardReader
from shards.tar_walk import TarDamage


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=50), max_size=8),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=10),
)
def test_fetch_is_slicing(chunks: list[bytes], steps: list[tuple[int, int]]) -> None:
    """Any chunks, any forward moves: the same bytes as slices of the whole."""
    whole = b"".join(chunks)
    offset = 0
    with ForwardReader(lambda: iter(chunks), shard="s") as reader:
        for skip, length in steps:
            offset += skip
            assert reader.fetch(offset, length) == whole[offset : offset + length]
            offset += min(length, max(0, len(whole) - offset))


def failing(error: BaseException) -> Iterator[bytes]:
    yield b"0123456789"
    raise error


@pytest.mark.parametrize("error", [EOFError("ends"), zlib.error("bad code")])
def test_what_came_before_the_damage_is_delivered(error: Exception) -> None:
    with ForwardReader(lambda: failing(error), shard="s") as reader:
        assert reader.fetch(0, 4) == b"0123"
        assert reader.fetch(4, 100) == b"456789"
        with pytest.raises(TarDamage) as caught:
            reader.fetch(10, 1)
        assert caught.value.offset == 10
        assert caught.value.kind == ("truncated" if isinstance(error, EOFError) else "corrupt")


def test_errors_of_the_place_are_passed_on() -> None:
    lost = StorageError("lost", retriable=True)
    with ForwardReader(lambda: failing(lost), shard="s") as reader:
        assert reader.fetch(0, 10) == b"0123456789"
        with pytest.raises(StorageError) as caught:
            reader.fetch(10, 1)
        assert caught.value is lost


def test_reads_ahead_but_not_without_bound() -> None:
    handed_out = 0

    def chunks() -> Iterator[bytes]:
        nonlocal handed_out
        while True:
            handed_out += 1
            yield b"x" * 10

    with ForwardReader(chunks, shard="s") as reader:
        deadline = time.monotonic() + 5
        while handed_out <= stream.CHUNKS_AHEAD and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert handed_out == stream.CHUNKS_AHEAD + 1
        assert reader.fetch(0, 5) == b"xxxxx"
    for thread in threading.enumerate():
        if thread.name == "shard-read-ahead":
            thread.join(timeout=5)
            assert not thread.is_alive()


def test_a_member_too_large_for_memory_is_refused() -> None:
    with (
        ForwardReader(lambda: iter([b"x"]), shard="s") as reader,
        pytest.raises(TarDamage, match="copy the shard to a local disk") as caught,
    ):
        reader.fetch(0, stream.MAX_STREAMED_MEMBER + 1)
    assert caught.value.kind == "unsupported_tar"

"""Pieces of a shard hold the samples of the whole, whatever the tar looks like."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ShardError
from shards.reader import open_shard
from shards.survey import pieces_by_size, survey_shard
from tests.support.servers import s3_bucket
from tests.support.tars import FORMATS, samples_tar


def in_pieces(uri: str, *, pieces: int, multiple: int) -> tuple[list[object], list[object]]:
    """The samples of the whole shard, and those of its pieces one after the other."""
    survey = survey_shard(uri, pieces=pieces, multiple=multiple)
    with open_shard(uri) as shard:
        whole = [(one.entry, [bytes(d) for d in one.data], one.error) for one in shard.samples()]
    assert survey.num_samples == len(whole)
    assert survey.step % multiple == 0
    found: list[object] = []
    for number, offset in enumerate(survey.offsets):
        start = number * survey.step
        stop = None if number == len(survey.offsets) - 1 else start + survey.step
        with open_shard(uri) as shard:
            piece = [
                (one.entry, [bytes(d) for d in one.data], one.error)
                for one in shard.samples(start, stop, at=offset)
            ]
        assert piece or not whole, "no piece is empty"
        found += piece
    return list(whole), found


@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.tuples(st.integers(0, 1500), st.booleans()), max_size=30),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(0, 3000),
)
def test_pieces_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    format: str,
    sizes: list[tuple[int, bool]],
    pieces: int,
    multiple: int,
    cut: int,
) -> None:
    # Names longer than 100 characters bring extension headers, which belong to their member.
    long = "x" * (0 if format == "ustar" else 120)
    samples = {
        f"{long}{number:03d}": {"jpg": b"j" * size, **({"json": b"{}"} if two else {})}
        for number, (size, two) in enumerate(sizes)
    }
    path = tmp_path_factory.mktemp("t") / "a.tar"
    content = samples_tar(samples, format=format)
    path.write_bytes(content[: max(1024, len(content) - cut)])
    with suppress(ShardError):  # cut in its very first header: no tar
        whole, found = in_pieces(str(path), pieces=pieces, multiple=multiple)
        assert found == whole


def test_a_remote_shard_is_read_from_where_a_piece_begins() -> None:
    samples = {f"{number:03d}": {"jpg": b"j" * 700 * number} for number in range(40)}
    with s3_bucket() as bucket:
        from shards import storage

        storage.put(f"{bucket}/a.tar", samples_tar(samples))
        whole, found = in_pieces(f"{bucket}/a.tar", pieces=4, multiple=3)
    assert found == whole


def test_the_number_of_pieces_is_a_matter_of_name_and_size(tmp_path: Path) -> None:
    assert pieces_by_size("a.tar", 1000, 0) == 1
    assert pieces_by_size("a.tar", 1000, 1000) == 1
    assert pieces_by_size("a.tar", 1001, 1000) == 2
    assert pieces_by_size("a.tar.gz", 10**12, 1000) == 1
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(samples_tar({"a": {"jpg": b"j"}})))
    with open_shard(str(path)) as shard, pytest.raises(ValueError, match="no random access"):
        next(shard.samples(0, at=0))

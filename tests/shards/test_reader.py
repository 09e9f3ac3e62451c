from __future__ import annotations

import gzip
import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webdataset.tariterators import group_by_keys, tar_file_iterator

from shards.errors import ShardError, StorageError
from shards.reader import is_compressed, open_shard
from shards.sample import DAMAGE_KINDS, Problem, Sample
from tests.support.servers import http_folder
from tests.support.tars import (
    BLOCK,
    end_of_members,
    header_offsets,
    overwritten,
    samples_tar,
    tar_bytes,
    write_tar,
)

POOL = {
    f"d/{i:03d}": {"jpg": bytes([i]) * (700 + 13 * i), "cls": b"%d" % i, "json": b"{}"}
    for i in range(6)
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("web")
    with http_folder(folder) as address:
        yield folder, address


def read(uri: str, start: int = 0, stop: int | None = None) -> tuple[list[Sample], list[Problem]]:
    with open_shard(uri) as reader:
        return list(reader.samples(start, stop)), reader.problems


def content(sample: Sample) -> tuple[str, dict[str, bytes]]:
    members = sample.entry.members
    return sample.entry.key, {
        m.extension: bytes(d) for m, d in zip(members, sample.data, strict=True)
    }


def test_reads_all_samples_with_their_bytes(tmp_path: Path) -> None:
    samples, problems = read(write_tar(tmp_path / "a.tar", samples_tar(POOL)))
    assert dict(map(content, samples)) == POOL
    assert [s.entry.index for s in samples] == list(range(6))
    assert problems == []


def test_local_data_is_not_copied(tmp_path: Path) -> None:
    samples, _ = read(write_tar(tmp_path / "a.tar", samples_tar(POOL)))
    assert all(isinstance(d, memoryview) and d.readonly for s in samples for d in s.data)


def resident_mb(path: str) -> float:
    """Of the mapping of a file in this process."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.endswith(path))
    return int(next(line for line in lines[at:] if line.startswith("Rss:")).split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc on this system")
def test_what_was_read_of_a_mapped_shard_leaves_the_process(tmp_path: Path) -> None:
    large = {f"{i:03d}": {"jpg": bytes([i]) * (4 << 20)} for i in range(20)}
    path = write_tar(tmp_path / "large.tar", samples_tar(large))
    most = 0.0
    with open_shard(path) as shard:
        first = next(samples := shard.samples())
        for number, sample in enumerate(samples, start=1):
            assert bytes(sample.data[0]) == bytes([number]) * (4 << 20)
            most = max(most, resident_mb(path))
        assert 4 < most < 40, "of 80 MB"
        assert bytes(first.data[0]) == bytes(4 << 20), "what is still in use comes back"


def test_views_outlive_the_reader_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    samples, _ = read(write_tar(path, samples_tar(POOL)))
    path.unlink()
    assert dict(map(content, samples)) == POOL


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("damage", ["none", "cut", "corrupt", "no end"])
def test_the_same_samples_and_problems_from_everywhere(
    tmp_path: Path,
    web: tuple[Path, str],
    name: str,
    remote: bool,
    damage: str,
) -> None:
    tar = samples_tar(POOL)
    offset = header_offsets(tar)[9]
    tar = {
        "none": tar,
        "cut": tar[: offset + BLOCK + 100],
        "corrupt": overwritten(tar, offset, b"??"),
        "no end": tar[: end_of_members(tar)],
    }[damage]
    reference = read(write_tar(tmp_path / "reference.tar", tar))
    folder, address = web
    path = write_tar((folder if remote else tmp_path) / damage / name, tar)
    uri = f"{address}/{damage.replace(' ', '%20')}/{name}" if remote else path
    samples, problems = read(uri)
    assert [content(s) for s in samples] == [content(s) for s in reference[0]]
    assert [s.entry for s in samples] == [s.entry for s in reference[0]]
    assert [s.error is None for s in samples] == [s.error is None for s in reference[0]]
    assert [p.kind for p in problems] == [p.kind for p in reference[1]]
    assert all(p.shard == uri for p in problems)


def test_every_cut_of_a_shard(tmp_path: Path) -> None:
    """At any length: sound samples equal the original's, and whatever may be missing is told."""
    tar = samples_tar(POOL)
    path = tmp_path / "a.tar"
    for length in range(1, len(tar), 97):
        uri = write_tar(path, tar[:length])
        if length < BLOCK:
            with pytest.raises(ShardError, match="not a tar"):
                read(uri)
            continue
        samples, problems = read(uri)
        sound = [content(s) for s in samples if s.error is None]
        complete = list(POOL.items())[: len(sound)]
        if [p.kind for p in problems] == ["no_end_marker"]:
            *sound, (last_key, last) = sound  # a clean end: only the last may lack members
            *complete, (key, whole) = complete
            assert last_key == key
            assert last.items() <= whole.items()
        elif length < end_of_members(tar):
            assert [p.kind for p in problems] == ["truncated"]
        assert sound == complete
        assert [s.error is None for s in samples[:-1]] == [True] * (len(samples) - 1)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"([a-c]/)?[a-e0-9_ ]{1,4}", fullmatch=True),
        st.dictionaries(
            st.sampled_from(["jpg", "PNG", "cls", "seg.png", "json"]),
            st.binary(max_size=1500),
            min_size=1,
        ),
        max_size=6,
    ),
    st.sampled_from([".tar", ".tar.gz"]),
)
def test_samples_are_those_of_webdataset(
    tmp_path_factory: pytest.TempPathFactory,
    pool: dict[str, dict[str, bytes]],
    suffix: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"same{suffix}"
    samples, _ = read(write_tar(path, samples_tar(pool)))
    with path.open("rb") as file:
        files = ({**one, "__url__": str(path)} for one in tar_file_iterator(file))
        theirs = [dict(one) for one in group_by_keys(files)]
    for one in theirs:
        one.pop("__local_path__", None)
        one.pop("__url__", None)
    assert [content(sample) for sample in samples] == [(one.pop("__key__"), one) for one in theirs]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_makes_a_wrong_sample(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A changed byte may change pixels (no tar can tell), but never which bytes are whose."""
    tar = samples_tar(POOL)
    at = data.draw(st.integers(0, end_of_members(tar) - 1))
    changed = overwritten(tar, at, bytes([data.draw(st.integers(0, 255))]))
    uri = write_tar(tmp_path_factory.getbasetemp() / "changed.tar", changed)
    positions = [at - offset for offset in header_offsets(tar) if offset <= at < offset + BLOCK]
    in_header = positions not in ([], [154], [155])  # those two end the checksum, in any way
    try:
        samples, problems = read(uri)
    except ShardError:
        assert at < BLOCK
        return
    layout = {
        (m.name, m.offset, m.size) for s in samples if s.error is None for m in s.entry.members
    }
    original = {
        (m.name, m.offset, m.size)
        for s in read(write_tar(tmp_path_factory.getbasetemp() / "original.tar", tar))[0]
        for m in s.entry.members
    }
    assert layout <= original
    if in_header and changed != tar:
        assert DAMAGE_KINDS & {p.kind for p in problems}
    else:
        assert layout == original


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_start_and_stop_count_over_the_whole_shard(tmp_path: Path, name: str) -> None:
    uri = write_tar(tmp_path / name, samples_tar(POOL))
    whole, _ = read(uri)
    for start, stop in itertools.combinations([0, 1, 3, 6, 9], 2):
        part, _ = read(uri, start, stop)
        assert [s.entry for s in part] == [s.entry for s in whole[start:stop]]
    assert [s.entry.index for s in read(uri, 4)[0]] == [4, 5]
    assert read(uri, 2, 2) == ([], [])
    with pytest.raises(ValueError, match="start <= stop"):
        read(uri, 3, 2)


def test_problems_of_parts_add_up_to_those_of_the_whole(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "a.jpg", "c.jpg", "c.jpg", "../d.jpg", "e.jpg", "b.cls", "f.jpg"]
    tar = tar_bytes([(name, b"x" * 10) for name in names])
    uri = write_tar(tmp_path / "a.tar", tar[: end_of_members(tar)])
    _, whole = read(uri)
    assert len(whole) == 5
    for width in (1, 2, 3, 100):
        parts = [
            read(uri, start, None if start + width >= 9 else start + width)[1]
            for start in range(0, 9, width)
        ]
        assert sorted(itertools.chain(*parts), key=str) == sorted(whole, key=str)


def test_a_cut_gzip_gives_what_was_complete(tmp_path: Path) -> None:
    noisy = {f"{i:04d}": {"jpg": bytes((i * j) % 251 for j in range(3000))} for i in range(400)}
    packed = gzip.compress(samples_tar(noisy), mtime=0)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed[: len(packed) // 2])
    samples, problems = read(str(path))
    sound = dict(content(s) for s in samples if s.error is None)
    assert 100 < len(sound) < 300
    assert sound.items() <= noisy.items()
    assert [p.kind for p in problems] == ["truncated"]


def test_a_damaged_gzip_checksum_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(samples_tar(POOL), mtime=0))
    packed[-6] ^= 0xFF
    path = tmp_path / "a.tgz"
    path.write_bytes(packed)
    samples, problems = read(str(path))
    assert [p.kind for p in problems] == ["corrupt"]
    assert samples[-1].error is not None


def test_unsafe_names_have_an_error(tmp_path: Path) -> None:
    uri = write_tar(tmp_path / "a.tar", tar_bytes([("../../etc/x.jpg", b"1"), ("ok.jpg", b"2")]))
    samples, problems = read(uri)
    assert [s.error is None for s in samples] == [False, True]
    assert [p.kind for p in problems] == ["unsafe_name"]


def test_a_tar_in_a_tar_is_a_sample_without_image(tmp_path: Path) -> None:
    uri = write_tar(tmp_path / "a.tar", tar_bytes([("inner.tar", samples_tar(POOL))]))
    samples, problems = read(uri)
    assert [s.image() for s in samples] == [None]
    assert problems == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty .0 bytes"),
        (b"x" * 100, "not a tar: the tar ends at byte 100"),
        (b"not a tar at all " * 100, "not a tar: no tar header"),
        (gzip.compress(b"x" * 2000, mtime=0), "name it .tar.gz"),
        (b"PK\x03\x04" + bytes(2000), "zip file"),
        (b"<!doctype html>" + b" " * 2000, "web page"),
    ],
)
def test_files_that_are_no_tar(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(ShardError, match=message) as caught:
        read(str(path))
    assert caught.value.shard == str(path)


def test_a_gz_that_is_not_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(samples_tar(POOL))
    with pytest.raises(ShardError, match="compressed stream is damaged"):
        read(str(path))


def test_an_empty_tar_is_told(tmp_path: Path) -> None:
    samples, problems = read(write_tar(tmp_path / "a.tar", bytes(10240)))
    assert samples == []
    assert [p.kind for p in problems] == ["empty"]


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="is a directory"), open_shard(str(tmp_path)):
        pass
    with pytest.raises(StorageError, match="does not exist"), open_shard(str(tmp_path / "no.tar")):
        pass


def test_random_access(tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, address = web
    path = write_tar(folder / "random.tar", samples_tar(POOL))
    samples, _ = read(path)
    for uri in (path, f"{address}/random.tar", f"{address}/_ranges/random.tar"):
        with open_shard(uri) as reader:
            for sample in samples:
                for member, data in zip(sample.entry.members, sample.data, strict=True):
                    assert reader.read(member) == bytes(data)


def test_random_access_into_a_shorter_shard(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", samples_tar(POOL))
    samples, _ = read(path)
    write_tar(tmp_path / "a.tar", samples_tar(dict(list(POOL.items())[:2])))
    with open_shard(path) as reader, pytest.raises(ShardError, match="changed since"):
        reader.read(samples[-1].entry.members[0])


def test_compressed_shards_have_no_random_access(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tgz", samples_tar(POOL))
    with open_shard(path) as reader:
        assert reader.compressed
        sample = next(iter(reader.samples()))
        with pytest.raises(StorageError, match="re-shard"):
            reader.read(sample.entry.members[0])
    assert is_compressed("A.TAR.GZ")
    assert not is_compressed("a.tar")


def test_a_lost_connection_is_no_truncated_shard(tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, address = web
    write_tar(folder / "lost.tar", samples_tar(POOL))
    with pytest.raises(StorageError) as caught:
        read(f"{address}/_cut/lost.tar")
    assert caught.value.retriable


def test_stopping_early_ends_the_thread(web: tuple[Path, str]) -> None:
    folder, address = web
    big = {f"{i:05d}": {"jpg": bytes(100_000)} for i in range(300)}
    write_tar(folder / "big.tar", samples_tar(big))
    before = threading.active_count()
    with open_shard(f"{address}/big.tar") as reader:
        for sample in reader.samples():
            if sample.entry.index == 3:
                break
        del sample
    for thread in threading.enumerate():
        if thread.name == "shard-read-ahead":
            thread.join(timeout=5)
            assert not thread.is_alive()
    assert threading.active_count() <= before + 3  # the server's own and fsspec's loop

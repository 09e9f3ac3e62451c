from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import UsageError
from shards.reader import open_shard
from shards.writer import ShardWriter, member_header

Members = dict[str, bytes]


def write(folder: Path, samples: Iterable[tuple[str, Members]], **limits: int) -> list[str]:
    with ShardWriter(str(folder), **limits) as writer:  # type: ignore[arg-type]
        for key, members in samples:
            writer.write(key, members)
    return writer.paths


def read(paths: list[str]) -> list[tuple[str, Members]]:
    found = []
    for path in paths:
        with open_shard(path) as reader:
            for sample in reader.samples():
                members = zip(sample.entry.members, sample.data, strict=True)
                found.append((sample.entry.key, {m.extension: bytes(d) for m, d in members}))
                assert sample.error is None
            assert reader.problems == []
    return found


SAMPLES = [(f"d/{i:04d}", {"jpg": bytes([i]) * (500 + i), "cls": b"%d" % i}) for i in range(10)]


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    hashes = set()
    for name in "ab":
        paths = write(tmp_path / name, SAMPLES, max_count=4)
        data = b"".join(Path(path).read_bytes() for path in paths)
        hashes.add(hashlib.sha256(data).hexdigest())
    # Fixed for ever: shards written by another version must not differ in a byte.
    assert hashes == {"143debe2958bcd1750db24669c42a257e58001204af2d6dbd2a2c2f7d0901223"}


def test_reads_back(tmp_path: Path) -> None:
    paths = write(tmp_path, SAMPLES, max_count=4)
    assert [os.path.basename(path) for path in paths] == [
        "shard-000000.tar", "shard-000001.tar", "shard-000002.tar",
    ]  # fmt: skip
    assert read(paths) == SAMPLES
    assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(path) for path in paths)


keys = st.text(
    st.characters(exclude_characters="./\0\\:", exclude_categories=["Cs"]), min_size=1, max_size=90
)
folders = st.lists(keys, max_size=3)
extensions = st.sampled_from(["jpg", "cls", "seg.png", "json", "ä"])
samples_lists = st.lists(
    st.tuples(
        st.builds(lambda parts, key: "/".join([*parts, key]), folders, keys),
        st.dictionaries(extensions, st.binary(max_size=900), min_size=1, max_size=4),
    ),
    max_size=6,
    unique_by=lambda sample: sample[0],
)


@settings(deadline=None, max_examples=60)
@given(samples_lists)
def test_any_sample_reads_back_here_in_tarfile_and_in_webdataset(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[str, Members]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    paths = write(folder, samples)
    assert read(paths) == samples
    flat = [(f"{key}.{ext}", data) for key, of in samples for ext, data in of.items()]
    seen = []
    for path in paths:
        with tarfile.open(path) as tar:
            for info in tar:
                file = tar.extractfile(info)
                assert file is not None
                seen.append((info.name, file.read()))
                assert (info.mtime, info.uid, info.gid, info.mode) == (0, 0, 0, 0o644)
    assert seen == flat
    skipped_by_webdataset = any("\n" in key or key.startswith("__") for key, _ in samples)
    if paths and not skipped_by_webdataset:
        dataset = webdataset.WebDataset(paths, shardshuffle=False)
        ours = [
            (sample["__key__"], {e: v for e, v in sample.items() if not e.startswith("__")})
            for sample in dataset
        ]
        assert ours == samples


def test_tar_reads_it(tmp_path: Path) -> None:
    long = "l" * 120
    (path,) = write(tmp_path, [(f"{long}/a", {"jpg": b"1"}), ("ä", {"jpg": b"2"})])
    listed = subprocess.run(
        ["tar", "tf", path, "--quoting-style=literal"], capture_output=True, check=True
    )
    assert listed.stdout.decode() == f"{long}/a.jpg\nä.jpg\n"
    assert listed.stderr == b""


def test_limits(tmp_path: Path) -> None:
    big = [(f"{i}", {"jpg": bytes(4000)}) for i in range(5)]
    assert len(write(tmp_path / "count", big, max_count=2)) == 3
    paths = write(tmp_path / "bytes", big, max_bytes=12_000)
    assert len(paths) == 3
    assert all(os.path.getsize(path) <= 12_000 for path in paths)
    assert len(write(tmp_path / "huge", big, max_bytes=10)) == 5
    assert write(tmp_path / "none", []) == []
    with pytest.raises(ValueError, match="positive"):
        ShardWriter(str(tmp_path), max_count=0)
    with pytest.raises(UsageError, match="prefix"):
        ShardWriter(str(tmp_path), prefix="../x")


@pytest.mark.parametrize(
    ("key", "members"),
    [
        ("a.b", {"jpg": b""}),
        ("../a", {"jpg": b""}),
        ("/a", {"jpg": b""}),
        ("a/../b", {"jpg": b""}),
        ("", {"jpg": b""}),
        ("d/", {"jpg": b""}),
        ("a\0", {"jpg": b""}),
        ("\udcff", {"jpg": b""}),
        ("l" * 5000, {"jpg": b""}),
        ("a", {}),
        ("a", {"": b""}),
        ("a", {"x/y": b""}),
        ("a", {".jpg": b""}),
        ("a", {"jpg": b"", "JPG": b""}),
    ],
)
def test_what_would_be_read_back_differently_is_refused(
    tmp_path: Path, key: str, members: Members
) -> None:
    with ShardWriter(str(tmp_path)) as writer:
        writer.write("first", {"jpg": b"1"})
        with pytest.raises(UsageError):
            writer.write(key, members)
        writer.write("last", {"jpg": b"2"})
    assert read(writer.paths) == [("first", {"jpg": b"1"}), ("last", {"jpg": b"2"})]


def test_a_key_twice_in_a_row_is_refused(tmp_path: Path) -> None:
    with ShardWriter(str(tmp_path)) as writer:
        writer.write("a", {"jpg": b"1"})
        with pytest.raises(UsageError, match="twice in a row"):
            writer.write("a", {"cls": b"1"})


def test_an_exception_leaves_no_half_shard(tmp_path: Path) -> None:
    def failing_source() -> Iterator[tuple[str, Members]]:
        yield from SAMPLES[:6]
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write(tmp_path, failing_source(), max_count=4)
    assert os.listdir(tmp_path) == ["shard-000000.tar"]
    assert read([str(tmp_path / "shard-000000.tar")]) == SAMPLES[:4]


def _die_in_the_second_shard(folder: str) -> None:
    with ShardWriter(folder, max_count=4) as writer:
        for key, members in SAMPLES[:6]:
            writer.write(key, members)
        os._exit(9)


def test_a_killed_writer_leaves_no_half_shard(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_die_in_the_second_shard, args=(str(tmp_path),)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    visible = [name for name in os.listdir(tmp_path) if not name.startswith(".")]
    assert visible == ["shard-000000.tar"]
    assert read(write(tmp_path, SAMPLES, max_count=4)) == SAMPLES


def test_header_of_a_large_member() -> None:
    header = member_header("a.bin", 9 << 30)
    assert tarfile.TarInfo.frombuf(header[-512:], "utf-8", "strict").name == "a.bin"
    assert b"size=%d\n" % (9 << 30) in header

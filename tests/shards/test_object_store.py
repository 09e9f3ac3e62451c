from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import pytest

from shards import atomic, storage
from shards.errors import StorageError
from shards.object_store import open_filesystem
from shards.reader import open_shard
from shards.writer import ShardWriter
from tests.support.servers import s3_bucket
from tests.support.tars import samples_tar

SAMPLES = {f"{i:04d}": {"jpg": bytes([i]) * 5000, "cls": b"%d" % i} for i in range(9)}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket() as uri:
        yield uri


@pytest.fixture(scope="module")
def pool(bucket: str) -> str:
    with ShardWriter(f"{bucket}/pool", max_count=4) as writer:
        for key, members in SAMPLES.items():
            writer.write(key, members)
    return f"{bucket}/pool"


def names(specs: list[str]) -> list[str]:
    return [storage.name(info.uri) for info in storage.expand(specs)]


def test_expand(pool: str) -> None:
    expected = ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    assert names([pool]) == names([f"{pool}/"]) == names([f"{pool}/*.tar"]) == expected
    assert names([f"{pool}/shard-00000{{0..1}}.tar"]) == expected[:2]
    assert names([pool.replace("pool", "p*/*-000002.tar")]) == expected[2:]


def test_samples_come_back(pool: str) -> None:
    found = {}
    for info in storage.expand([pool]):
        with open_shard(info.uri) as reader:
            for sample in reader.samples():
                members = sample.entry.members
                found[sample.entry.key] = {
                    m.extension: bytes(d) for m, d in zip(members, sample.data, strict=True)
                }
                assert reader.read(members[0]) == bytes(sample.data[0])
            assert reader.problems == []
    assert found == SAMPLES


def test_files(bucket: str) -> None:
    uri = f"{bucket}/d/x.bin"
    assert not storage.exists(uri)
    atomic.write_bytes(uri, b"0123456789")
    assert storage.exists(uri)
    assert storage.is_dir(f"{bucket}/d")
    assert not storage.is_dir(uri)
    assert storage.stat(uri).num_bytes == 10
    assert storage.read_bytes(uri) == b"0123456789"
    assert storage.read_range(uri, 3, 4) == b"3456"
    assert [f.uri for f in storage.list_files(f"{bucket}/d")] == [uri]
    storage.make_dirs(f"{bucket}/e")
    storage.remove(uri)
    storage.remove(uri)
    assert not storage.exists(uri)


def _write_half(uri: str) -> None:
    with atomic.new_file(uri) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def test_nothing_is_left_of_a_failed_write(bucket: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        _write_half(f"{bucket}/half.bin")
    assert not storage.exists(f"{bucket}/half.bin")


def test_a_large_file_is_whole(bucket: str) -> None:
    data = bytes(range(256)) * (24 << 12)  # 24 MiB: several parts
    atomic.write_bytes(f"{bucket}/large.bin", data)
    assert storage.read_bytes(f"{bucket}/large.bin") == data


def test_compressed_files_are_stored_and_read_as_they_are(bucket: str) -> None:
    """Arrow would pack and unpack by the name of the file."""
    packed = gzip.compress(samples_tar(SAMPLES), mtime=0)
    atomic.write_bytes(f"{bucket}/gz/a.tar.gz", packed)
    assert storage.stat(f"{bucket}/gz/a.tar.gz").num_bytes == len(packed)
    assert storage.read_bytes(f"{bucket}/gz/a.tar.gz") == packed
    with open_shard(f"{bucket}/gz/a.tar.gz") as reader:
        assert [sample.entry.key for sample in reader.samples()] == list(SAMPLES)


def test_create_exclusive(bucket: str) -> None:
    uri = f"{bucket}/lock"
    assert atomic.create_exclusive(uri, b"one", settle_s=0)
    assert not atomic.create_exclusive(uri, b"two", settle_s=0)
    assert storage.read_bytes(uri) == b"one"


def test_missing(bucket: str) -> None:
    for uri in (f"{bucket}/no.tar", "s3://no-such-bucket/a.tar"):
        for call in (storage.stat, storage.read_bytes):
            with pytest.raises(StorageError, match="does not exist") as caught:
                call(uri)
            assert uri in str(caught.value)
            assert not caught.value.retriable
    with pytest.raises(StorageError, match="does not exist"):
        storage.expand([f"{bucket}/nothing/"])
    with pytest.raises(StorageError, match="does not exist"):
        atomic.write_bytes("s3://no-such-bucket/a", b"1")


def test_wrong_credentials() -> None:
    with s3_bucket("locked", check_credentials=True) as locked:
        for call in (storage.stat, storage.read_bytes, storage.list_files):
            with pytest.raises(StorageError, match=r"not allowed to .* credentials") as caught:
                call(f"{locked}/a.tar")
            assert not caught.value.retriable


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with pytest.raises(StorageError, match="check that the place is reachable") as caught:
            storage.stat("s3://bucket/a.tar")
        assert caught.value.retriable


def test_open_filesystem_is_for_arrow_readers(bucket: str) -> None:
    filesystem, path = open_filesystem(f"{bucket}/d/x.parquet")
    assert path == "bucket/d/x.parquet"
    assert filesystem.type_name == "s3"

"""Against a server that speaks S3: of many writers, exactly one creates the object."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from shards import atomic, conditional_put, storage
from shards.conditional_put import put_if_absent
from shards.errors import StorageError
from tests.support.servers import s3_bucket


def test_of_many_writers_exactly_one_wins() -> None:
    with s3_bucket() as bucket:
        uri = f"{bucket}/lock/00000001.json"
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: put_if_absent(uri, b"writer %d" % n), range(16)))
        assert won.count(True) == 1
        assert won.count(False) == 15
        assert storage.read_bytes(uri) == b"writer %d" % won.index(True)
        assert atomic.create_exclusive(uri, b"late") is False
        assert atomic.create_exclusive(f"{bucket}/lock/00000002.json", b"next") is True


def test_without_a_client_for_it_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional_put, "_client", lambda endpoint: None)
    assert put_if_absent("s3://bucket/a", b"x") is None
    with s3_bucket() as bucket:
        assert atomic.create_exclusive(f"{bucket}/a", b"x", settle_s=0.0) is True
        assert atomic.create_exclusive(f"{bucket}/a", b"y", settle_s=0.0) is False


def test_only_s3_is_asked_and_its_errors_are_told() -> None:
    assert put_if_absent("gs://bucket/a", b"x") is None
    with s3_bucket(), pytest.raises(StorageError, match="no-such"):
        put_if_absent("s3://no-such/a", b"x")
    assert "AWS_ENDPOINT_URL_S3" not in os.environ

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from shards import atomic, http_files, storage
from shards.errors import StorageError, UsageError
from tests.support.servers import http_folder

DATA = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web")
    for name in ("pool/a.tar", "pool/b.tar", "pool/notes.txt", "pool/deep/c.tar"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(DATA)
    with http_folder(folder) as address:
        yield address


def names(specs: list[str]) -> list[str]:
    return [storage.name(info.uri) for info in storage.expand(specs)]


def test_stat(web: str) -> None:
    info = storage.stat(f"{web}/pool/a.tar")
    assert info.num_bytes == len(DATA)
    assert info.etag == storage.stat(f"{web}/pool/a.tar").etag
    assert info.etag != "" and storage.exists(info.uri)  # noqa: PT018


def test_expand(web: str) -> None:
    assert names([f"{web}/pool/"]) == ["a.tar", "b.tar"]
    assert names([f"{web}/pool"]) == ["a.tar", "b.tar"]
    assert names([f"{web}/pool/*.tar"]) == ["a.tar", "b.tar"]
    assert names([f"{web}/pool/*/c.tar"]) == ["c.tar"]
    assert names([f"{web}/pool/{{a,b}}.tar"]) == ["a.tar", "b.tar"]
    with pytest.raises(StorageError, match=r"x\.tar does not exist"):
        storage.expand([f"{web}/pool/{{a,x}}.tar"])


@pytest.mark.parametrize("route", ["", "/_ranges"])
def test_reading_with_and_without_range_requests(web: str, route: str) -> None:
    uri = f"{web}{route}/pool/a.tar"
    assert storage.read_bytes(uri) == DATA
    assert storage.read_range(uri, 300, 1000) == DATA[300:1300]
    assert storage.read_range(uri, 300, 0) == b""


@pytest.mark.parametrize(
    ("path", "message", "retriable"),
    [
        ("nothing.tar", "does not exist", False),
        ("_status/403/a.tar", "not allowed to read", False),
        ("_status/401/a.tar", "not allowed to read", False),
        ("_status/503/a.tar", "overloaded", True),
        ("_status/429/a.tar", "overloaded", True),
    ],
)
def test_answers_of_the_server(web: str, path: str, message: str, retriable: bool) -> None:
    for call in (storage.stat, storage.read_bytes):
        with pytest.raises(StorageError, match=message) as caught:
            call(f"{web}/{path}")
        assert f"{web}/{path}" in str(caught.value)
        assert caught.value.retriable is retriable


def test_a_lost_connection_is_retriable(web: str) -> None:
    with pytest.raises(StorageError, match="reachable") as caught:
        storage.read_bytes(f"{web}/_cut/pool/a.tar")
    assert caught.value.retriable


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/a.tar"
        for call in (storage.stat, storage.read_bytes, storage.exists):
            with pytest.raises(StorageError, match="check that the place is reachable") as caught:
                call(uri)
            assert caught.value.retriable


def test_a_silent_server_ends_in_a_time_out(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_files, "STAT_TIMEOUT_S", 0.3)
    with pytest.raises(StorageError, match=r"(?i)time-?out") as caught:
        storage.stat(f"{web}/_silent/a.tar")
    assert caught.value.retriable


def test_a_query_is_no_wildcard(web: str) -> None:
    (info,) = storage.expand([f"{web}/pool/a.tar?version=a*b"])
    assert storage.read_bytes(info.uri) == DATA


def test_without_aiohttp_the_extra_is_named(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    http_files._filesystem.cache_clear()
    with pytest.raises(UsageError, match=r"coursepack\[http\]"):
        storage.stat(f"{web}/pool/a.tar")


def test_web_places_are_read_only(web: str) -> None:
    with pytest.raises(UsageError, match="read only"):
        atomic.write_bytes(f"{web}/x", b"1")
    for call in (storage.remove, storage.make_dirs):
        with pytest.raises(UsageError, match="read only"):
            call(f"{web}/x")

"""Addresses and exit codes; what the server itself answers is shown by the integration tests."""

from __future__ import annotations

import pytest

from cluster.jobs.server import DEFAULT_ADDRESS, Job, connect, server_address
from shards.errors import CoursepackError, UsageError


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)


def test_the_address_is_the_one_given_then_the_environments_then_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert server_address(None) == server_address("auto") == DEFAULT_ADDRESS
    monkeypatch.setenv("RAY_ADDRESS", "http://one:8265")
    assert server_address(None) == "http://one:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://two:8265")
    assert server_address(None) == "http://two:8265"
    assert server_address("https://three/ray/") == "https://three/ray"


def test_no_address_of_a_job_server() -> None:
    with pytest.raises(UsageError, match="expected http://HOST:8265"):
        server_address("head:6379")
    with pytest.raises(UsageError, match=r"\*\*\*@head"):
        server_address("http://user:hush@head:8265")


def test_silence_is_told_within_seconds_with_the_way_to_a_server() -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    with pytest.raises(CoursepackError, match=r"nothing listens at http://127\.0\.0\.1:1 .*port"):
        connect("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 3, 3),
        ("FAILED", 2, 2),
        ("FAILED", -9, 1),
        ("FAILED", None, 1),
        ("STOPPED", None, 1),
        ("RUNNING", None, 0),
    ],
)
def test_the_exit_code_is_that_of_the_verb(status: str, driver: int | None, code: int) -> None:
    assert Job("j", status, "coursepack score", driver, "", None, None).exit_code == code

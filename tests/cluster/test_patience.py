from __future__ import annotations

import pytest

from cluster import patience
from cluster.patience import patiently
from shards.errors import StorageError


class Flaky:
    """Storage that answers from the n-th time on."""

    def __init__(self, failures: int, *, retriable: bool = True) -> None:
        self.calls = 0
        self._failures = failures
        self._retriable = retriable

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise StorageError("slow down", retriable=self._retriable)
        return "here"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES_S", (0.0, 0.0))


def test_a_moment_is_waited_out_and_no_more() -> None:
    assert patiently(Flaky(0)) == "here"
    assert patiently(Flaky(2)) == "here"
    gone = Flaky(3)
    with pytest.raises(StorageError, match="slow down"):
        patiently(gone)
    assert gone.calls == 3


def test_what_cannot_be_helped_is_told_at_once() -> None:
    forbidden = Flaky(1, retriable=False)
    with pytest.raises(StorageError):
        patiently(forbidden)
    assert forbidden.calls == 1

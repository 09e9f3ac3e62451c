"""`submit` refuses before it talks to anybody; what it does then is shown in integration/."""

from __future__ import annotations

from tests.support.command import coursepack


def test_wrong_words_are_told_without_a_cluster() -> None:
    answer = coursepack("submit", "--address", "http://127.0.0.1:1", "--", "score", "pool/")
    assert answer.exit_code == 2
    assert "pool/ is a relative path" in answer.errors


def test_no_cluster_is_told() -> None:
    answer = coursepack(
        "submit", "--address", "http://127.0.0.1:1", "--", "query", "/run", "SELECT 1"
    )
    assert answer.exit_code == 1
    assert "nothing listens at http://127.0.0.1:1" in answer.errors

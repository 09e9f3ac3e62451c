"""Where a token comes from, in Ray's own order; its value is never told."""

from pathlib import Path

import pytest

from cluster.ray_token import describe_source, token_source


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, token: str = "t" * 64, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token)
    path.chmod(mode)
    return path


def test_nowhere() -> None:
    assert token_source().source == ""
    assert describe_source(token_source()) == "no token was found here"


def test_the_environment_wins_over_the_named_file_and_that_over_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = write(home / ".ray" / "auth_token")
    assert token_source().source == str(default)
    named = write(home / "other")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(named))
    assert token_source().source == str(named)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "s" * 64)
    found = token_source()
    assert found.source == "RAY_AUTH_TOKEN"
    assert "s" * 64 not in f"{found} {describe_source(found)}"


def test_what_is_wrong_with_a_file_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(home / ".ray" / "auth_token", mode=0o644)
    assert "chmod 600" in token_source().warning
    write(path, token=" \n")
    assert token_source() == token_source().__class__("", "", f"{path} is empty")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "gone"))
    assert "no file" in describe_source(token_source())

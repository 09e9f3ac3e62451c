from __future__ import annotations

from pathlib import Path

import pytest

from shards import destination
from shards.errors import StorageError, UsageError


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.tar"))


def test_an_unfinished_build_of_the_same_kind_is_begun_again(tmp_path: Path) -> None:
    identity = {"kind": "x", "size": (1, 2)}
    destination.begin(str(tmp_path), "s", identity)
    (tmp_path / "s-000000.tar").write_bytes(b"old")
    (tmp_path / "other-000000.tar").write_bytes(b"kept")
    (tmp_path / "s-notes.tar").write_bytes(b"kept")
    destination.begin(str(tmp_path), "s", identity)
    assert shards(tmp_path) == ["other-000000.tar", "s-notes.tar"]


def test_anything_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s-000000.tar").write_bytes(b"somebody's")
    with pytest.raises(UsageError, match="holds 1 shards"):
        destination.begin(str(tmp_path), "s", {"kind": "x"})
    destination.begin(str(tmp_path), "s", {"kind": "x"}, overwrite=True)
    (tmp_path / "s-000000.tar").write_bytes(b"new")
    with pytest.raises(UsageError):
        destination.begin(str(tmp_path), "s", {"kind": "y"})
    destination.finish(str(tmp_path), "s", {"kind": "x"}, {})
    with pytest.raises(UsageError):
        destination.begin(str(tmp_path), "s", {"kind": "x"})
    assert (tmp_path / "s-000000.tar").read_bytes() == b"new"


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "s-000000.tar").write_bytes(b"x")
    (tmp_path / "s-build.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        destination.begin(str(tmp_path), "s", {})

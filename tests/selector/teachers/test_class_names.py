from __future__ import annotations

import json
from pathlib import Path

import pytest

from selector.teachers.class_names import read_class_names
from shards.errors import UsageError


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("n.txt", "cat\ndog\nfrog"),
        ("n.txt", "\ufeffcat\r\ndog \r\nfrog\n\n"),
        ("n.json", json.dumps(["cat", "dog", "frog"])),
        ("n.json", json.dumps({"1": "dog", "0": "cat", "2": "frog"})),
        ("n.json", json.dumps({"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "frog"]})),
    ],
)
def test_reads_every_layout(tmp_path: Path, file: str, content: str) -> None:
    path = tmp_path / file
    path.write_text(content, encoding="utf-8", newline="")
    assert read_class_names(str(path)) == ["cat", "dog", "frog"]


def test_an_empty_line_inside_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "n.txt"
    path.write_text("cat\n\nfrog\n")
    assert read_class_names(str(path)) == ["cat", "", "frog"]


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("n.txt", b"\xff\xfe\x00"),
        ("n.json", b"[1, 2"),
        ("n.json", b"[1, 2]"),
        ("n.json", b'{"0": "cat", "2": "dog"}'),
        ("n.json", b'"cat"'),
        ("n.json", b"[[]]"),
    ],
)
def test_refuses_everything_else(tmp_path: Path, file: str, data: bytes) -> None:
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(UsageError, match="class names"):
        read_class_names(str(path))

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from distiller.data.image_index import build_image_index
from distiller.data.labels import label_extension, read_labels
from shards.errors import UsageError
from shards.writer import ShardWriter
from tests.distiller.small_sets import bars, png, write_shards


def shard_with(tmp_path: Path, **members: bytes) -> str:
    with ShardWriter(str(tmp_path / "labelled")) as writer:
        writer.write("0", {"png": png(bars(0)), **members})
    return str(tmp_path / "labelled")


def labels_of(folder: str, label: str, **options: object) -> list[int]:
    index = build_image_index([folder], label_ext=label_extension(label))
    return read_labels(index, label=label, num_classes=4, **options).tolist()  # type: ignore[arg-type]


def test_labels_from_cls_members(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set", 10, labelled=True, per_shard=4)
    assert labels_of(folder, "cls") == [i % 4 for i in range(10)]


def test_labels_from_a_json_field(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set", 6, labelled=True)
    assert labels_of(folder, "json:label") == [0, 1, 2, 3, 0, 1]


def test_labels_by_class_name(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set", 5, labelled=True)
    names = [f"lean-{i}" for i in range(4)]
    assert labels_of(folder, "json:name", class_names=names) == [0, 1, 2, 3, 0]


def test_labels_of_compressed_shards(tmp_path: Path) -> None:
    folder = Path(write_shards(tmp_path / "set", 5, labelled=True))
    (shard,) = folder.glob("*.tar")
    (tmp_path / "set.tar.gz").write_bytes(gzip.compress(shard.read_bytes()))
    assert labels_of(str(tmp_path / "set.tar.gz"), "cls") == [0, 1, 2, 3, 0]


def test_white_space_around_a_class_number_is_no_matter(tmp_path: Path) -> None:
    assert labels_of(shard_with(tmp_path, cls=b" 3\n"), "cls") == [3]


@pytest.mark.parametrize("text", [b"4", b"-1", b"cat", b"1.0", b"", b"\xff", "²".encode()])
def test_what_is_no_class_is_refused_by_sample(tmp_path: Path, text: bytes) -> None:
    folder = shard_with(tmp_path, cls=text)
    with pytest.raises(UsageError, match=r"sample 0: label .* expected a number from 0 to 3"):
        labels_of(folder, "cls")


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"not json", b"7"])
def test_a_json_without_the_field_is_refused_by_sample(tmp_path: Path, content: bytes) -> None:
    folder = shard_with(tmp_path, json=content)
    with pytest.raises(UsageError, match=r"sample 0: its \.json has no field 'label'"):
        labels_of(folder, "json:label")


def test_a_truth_value_is_no_class(tmp_path: Path) -> None:
    folder = shard_with(tmp_path, json=json.dumps({"label": True}).encode())
    with pytest.raises(UsageError, match="label True is no class"):
        labels_of(folder, "json:label")


def test_unlabelled_images_are_counted_in_the_message(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "set", 3)
    with pytest.raises(UsageError, match=r"no \.cls member, and 3 of 3 images lack one"):
        labels_of(folder, "cls")

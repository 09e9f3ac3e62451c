from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from shards.decode import decode
from shards.errors import StorageError, UsageError
from shards.sources.torchvision_datasets import torchvision_source
from tests.support import images


def mnist_files(root: Path, count: int = 4) -> np.ndarray:
    """MNIST's raw files with a few pictures; returns the training images (N, 28, 28)."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.stack([images.picture(28, 28, seed=n)[:, :, 0] for n in range(count)])
    for part, chosen in (("train", pixels), ("t10k", pixels[::-1])):
        head = struct.pack(">4B3I", 0, 0, 8, 3, *chosen.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + chosen.tobytes())
        labels = struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(range(count))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    return pixels


def test_files_give_their_own_bytes(tmp_path: Path) -> None:
    files = {"ant/1.jpeg": images.jpeg(), "bee/2.PNG": images.png(), "bee/3.ppm": images.ppm()}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    source = torchvision_source("imagefolder", str(tmp_path))
    assert source.classes == ("ant", "bee")
    assert [dict(members) for _, members in source.records] == [
        {"jpeg": files["ant/1.jpeg"], "cls": b"0"},
        {"png": files["bee/2.PNG"], "cls": b"1"},
        {"ppm": files["bee/3.ppm"], "cls": b"1"},
    ]


def test_files_that_are_no_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(images.TEXT)
    (tmp_path / "a" / "2.png").write_bytes(images.png())
    (tmp_path / "a" / "3.png").write_bytes(images.png())
    source = torchvision_source("ImageFolder", str(tmp_path))
    (tmp_path / "a" / "3.png").unlink()
    assert [key for key, _ in source.records] == ["00000001"]
    assert [(p.kind, p.member) for p in source.problems] == [
        ("not_an_image", "00000000"),
        ("read_error", "00000002"),
    ]


def test_pixels_become_lossless_png(tmp_path: Path) -> None:
    pixels = mnist_files(tmp_path)
    for split, expected in (("train", pixels), ("test", pixels[::-1]), (None, pixels)):
        source = torchvision_source("mnist", str(tmp_path), split=split)
        records = list(source.records)
        assert source.count == len(records) == 4
        assert source.classes[0] == "0 - zero"
        for n, (key, members) in enumerate(records):
            assert key == f"{n:08d}"
            assert members["cls"] == str(n).encode()
            assert np.array_equal(decode(members["png"], channels=1), expected[n])


def test_a_dataset_without_a_root() -> None:
    source = torchvision_source("FakeData", options={"size": 3, "image_size": (3, 8, 9)})
    shown = [decode(members["png"]) for _, members in source.records]
    assert [pixels.shape for pixels in shown] == [(8, 9, 3)] * 3


def test_targets_that_are_no_labels_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(images.png())
    options = {"target_transform": str}
    source = torchvision_source("ImageFolder", str(tmp_path), options=options)
    assert [list(members) for _, members in source.records] == [["png"]]


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean: CIFAR10"):
        torchvision_source("cifar_10", str(tmp_path))
    with pytest.raises(UsageError, match="needs a root"):
        torchvision_source("CIFAR10")
    with pytest.raises(StorageError, match="ask for a download"):
        torchvision_source("CIFAR10", str(tmp_path))
    with pytest.raises(StorageError, match="check the root folder"):
        torchvision_source("ImageFolder", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="it has train and test"):
        torchvision_source("MNIST", str(tmp_path), split="extra")
    with pytest.raises(UsageError, match="has no splits"):
        torchvision_source("FakeData", split="train")
    with pytest.raises(UsageError, match="it takes size, image_size"):
        torchvision_source("FakeData", options={"colour": "red"})
    with pytest.raises(UsageError, match="is no dataset"):
        torchvision_source("wrap_dataset_for_transforms_v2", str(tmp_path))


def test_items_that_are_no_images_are_refused() -> None:
    options = {"size": 2, "image_size": (3, 4, 4), "transform": np.asarray}
    source = torchvision_source("FakeData", options=options)
    with pytest.raises(UsageError, match="yields ndarray"):
        list(source.records)

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selector.pu.labelled import (
    UNKNOWN,
    class_numbers,
    coverage,
    digest_of,
    read_labelled,
    split_held_out,
)
from shards.errors import UsageError
from tests.support.pu import labelled


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    for number, name in enumerate(["cat", "dog", "cat"]):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{number}.png").write_bytes(png(number))
    found = [(image.key, image.label, image.data) for image in read_labelled([str(tmp_path)])]
    assert found == [("cat/0", "cat", png(0)), ("cat/2", "cat", png(2)), ("dog/1", "dog", png(1))]


def test_shards_with_and_without_labels(tmp_path: Path) -> None:
    members = {"a.png": png(1), "a.cls": b"7\n", "b.png": png(2)}
    shard = write_tar(tmp_path / "few.tar", members)
    found = [(image.key, image.label) for image in read_labelled([shard])]
    assert found == [("a", "7"), ("b", None)]
    assert [image.key for image in read_labelled([str(tmp_path)])] == ["a", "b"]


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "few.tar", {"a.txt": b"hello"})
    with pytest.raises(UsageError, match=r"few\.tar, sample a: no image"):
        list(read_labelled([shard]))
    with pytest.raises(UsageError, match="no labelled images given"):
        list(read_labelled([]))


def test_labels_become_the_teachers_classes() -> None:
    names = ["cat", "dog", "ship"]
    numbers, warnings = class_numbers(["dog", "2", None], num_classes=3, class_names=names)
    assert numbers.tolist() == [1, 2, UNKNOWN]
    assert not warnings
    by_order, told = class_numbers(["y", "x", "z"], num_classes=3, class_names=names)
    assert by_order.tolist() == [1, 0, 2]
    assert "in the order of their names" in told[0]
    strange, told = class_numbers(["dog", "yak"], num_classes=3, class_names=names)
    assert strange.tolist() == [1, UNKNOWN]
    assert "'yak'" in told[0]


def test_the_digest_knows_content_and_labels_not_the_order() -> None:
    one, two = (b"a" * 16, 0), (b"b" * 16, 1)
    assert digest_of([one, two]) == digest_of([two, one])
    assert digest_of([one, two]) != digest_of([one, (b"b" * 16, 2)])


def test_a_share_of_every_class_is_held_out() -> None:
    label = np.repeat([0, 1, UNKNOWN], [50, 10, 20])
    held = split_held_out(label, share=0.2, seed=0)
    assert [int(held[label == c].sum()) for c in (0, 1, UNKNOWN)] == [10, 2, 4]
    assert np.array_equal(held, split_held_out(label, share=0.2, seed=0))
    assert not np.array_equal(held, split_held_out(label, share=0.2, seed=1))


@pytest.mark.parametrize("num", [2, 3, 10])
def test_some_are_held_out_and_some_are_not(num: int) -> None:
    held = split_held_out(np.arange(num), share=0.2, seed=0)
    assert 0 < held.sum() < num


def test_gaps_and_misclassified_images_are_told() -> None:
    told = coverage(labelled(20, num_classes=4), num_classes=5)
    assert told["per_class"] == [5, 5, 5, 5, 0]
    assert told["classes_without"] == [4]
    assert [entry["key"] for entry in told["misclassified"]] == ["few/0009", "few/0019"]
    assert told["misclassified"][0]["label"] == 1
    assert told["misclassified"][0]["teacher"] == 2
    assert told["unlabelled"] == 0

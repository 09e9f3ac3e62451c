from __future__ import annotations

from pathlib import Path

import pytest

from cluster.labelled_images import labelled_shards
from distiller.data.image_index import build_image_index
from distiller.data.labels import read_labels
from shards.errors import StorageError, UsageError
from tests.distiller.small_sets import bars, png, write_shards

NAMES = ["zebra", "ant", "cow"]


def folders(root: Path, images: dict[str, int]) -> str:
    for name, count in images.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.png").write_bytes(png(bars(number)))
    return str(root)


def labels_in(folder: str) -> list[int]:
    index = build_image_index([folder], label_ext="cls")
    return read_labels(index, label="cls", num_classes=12).tolist()


def test_folders_named_as_classes_get_the_teachers_numbers(tmp_path: Path) -> None:
    """Not those of the sorted names, which is what building shards alone would give."""
    root = folders(tmp_path / "few", {"ant": 2, "zebra": 1, "cow": 1})
    out = labelled_shards(root, out=str(tmp_path / "out"), num_classes=3, class_names=NAMES)
    assert labels_in(out) == [1, 1, 2, 0]
    assert (tmp_path / "out" / "classes.txt").read_text().split() == NAMES


def test_folders_may_be_class_numbers(tmp_path: Path) -> None:
    root = folders(tmp_path / "few", {"10": 1, "2": 1})
    out = labelled_shards(root, out=str(tmp_path / "out"), num_classes=12, class_names=None)
    assert labels_in(out) == [10, 2]


def test_a_folder_that_is_no_class_is_refused(tmp_path: Path) -> None:
    root = folders(tmp_path / "few", {"ant": 1, "dragon": 1})
    with pytest.raises(UsageError, match=r"folder 'dragon' is no class of the teacher"):
        labelled_shards(root, out=str(tmp_path / "out"), num_classes=3, class_names=NAMES)
    with pytest.raises(UsageError, match=r"teacher\.class_names gives names"):
        labelled_shards(root, out=str(tmp_path / "out"), num_classes=3, class_names=None)


def test_what_is_built_is_kept_and_other_images_are_refused(tmp_path: Path) -> None:
    root = folders(tmp_path / "few", {"ant": 2, "cow": 1})
    out = labelled_shards(root, out=str(tmp_path / "out"), num_classes=3, class_names=NAMES)
    stamp = Path(out, "shard-000000.tar").stat().st_mtime_ns
    labelled_shards(root, out=out, num_classes=3, class_names=NAMES)
    assert Path(out, "shard-000000.tar").stat().st_mtime_ns == stamp
    (tmp_path / "few" / "cow" / "more.png").write_bytes(png(bars(5)))
    with pytest.raises(UsageError, match="holds other images than when"):
        labelled_shards(root, out=out, num_classes=3, class_names=NAMES)


def test_a_file_that_is_no_image_is_told(tmp_path: Path) -> None:
    root = folders(tmp_path / "few", {"ant": 2, "cow": 1})
    (tmp_path / "few" / "cow" / "broken.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"1 files are no images, the first is cow/broken\.png"):
        labelled_shards(root, out=str(tmp_path / "out"), num_classes=3, class_names=NAMES)


def test_shards_are_used_where_they_are(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "few", 4, labelled=True)
    found = labelled_shards(folder, out=str(tmp_path / "out"), num_classes=4, class_names=None)
    assert found == folder
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=r"label '3' is no class"):
        labelled_shards(folder, out=str(tmp_path / "out"), num_classes=3, class_names=None)


def test_what_is_not_there_or_has_no_labels_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="few"):
        labelled_shards(str(tmp_path / "few"), out="out", num_classes=4, class_names=None)
    folder = write_shards(tmp_path / "bare", 4)
    with pytest.raises(UsageError, match=r"no \.cls member"):
        labelled_shards(folder, out="out", num_classes=4, class_names=None)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shards.errors import StorageError, UsageError
from shards.sources.folder import folder_source
from tests.support import images


def put(root: Path, name: str | bytes, data: bytes) -> None:
    path = os.path.join(os.fsencode(root), os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def test_files_become_samples_byte_for_byte_in_order_of_path(tmp_path: Path) -> None:
    files = {f"{name}.png": images.png(images.picture(seed=n)) for n, name in enumerate("cab")}
    files["deep/er/x.JPEG"] = images.jpeg()
    for name, data in files.items():
        put(tmp_path, name, data)
    source = folder_source(str(tmp_path))
    records = list(source.records)
    assert [key for key, _ in records] == ["a", "b", "c", "deep/er/x"]
    assert records[0][1] == {"png": files["a.png"]}
    assert records[3][1] == {"jpeg": files["deep/er/x.JPEG"]}
    assert (source.count, source.classes, source.problems) == (4, (), [])


def test_class_folders_become_labels(tmp_path: Path) -> None:
    for name in ("zebra/1.png", "ant/2.png", "ant/sub/3.png", "bee/4.png"):
        put(tmp_path, name, images.png())
    source = folder_source(str(tmp_path))
    assert source.classes == ("ant", "bee", "zebra")
    labels = {key: members["cls"] for key, members in source.records}
    assert labels == {"ant/2": b"0", "ant/sub/3": b"0", "bee/4": b"1", "zebra/1": b"2"}


def test_classes_can_be_refused_and_demanded(tmp_path: Path) -> None:
    put(tmp_path, "only/1.png", images.png())
    assert folder_source(str(tmp_path)).classes == ()
    assert folder_source(str(tmp_path), class_folders="yes").classes == ("only",)
    put(tmp_path, "other/2.png", images.png())
    assert folder_source(str(tmp_path), class_folders="no").classes == ()
    put(tmp_path, "stray.png", images.png())
    assert folder_source(str(tmp_path)).classes == ()
    with pytest.raises(UsageError, match=r"stray\.png lies in no class folder"):
        folder_source(str(tmp_path), class_folders="yes")


def test_keys_are_unique_and_end_at_the_first_dot(tmp_path: Path) -> None:
    for name in ("cat.jpg", "cat.png", "cat_png.png", "v1.2.png", "v1_2.png", "a.b/c.png"):
        put(tmp_path, name, images.png())
    keys = [key for key, _ in folder_source(str(tmp_path)).records]
    assert keys == ["a.b/c", "cat", "cat_png", "cat_png_png", "v1_2", "v1_2_png"]


def test_names_that_are_no_text_or_no_path_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, b"caf\xe9.png", images.png())
    put(tmp_path, "C:drive.png", images.png())
    put(tmp_path, "ünïcödé 写真.png", images.png())
    keys = [key for key, _ in folder_source(str(tmp_path)).records]
    assert keys == ["C_drive", "caf\ufffd", "ünïcödé 写真"]


def test_what_is_no_image_is_told_and_left_out(tmp_path: Path) -> None:
    put(tmp_path, "good.png", images.png())
    put(tmp_path, "text.jpg", images.TEXT)
    put(tmp_path, "empty.png", b"")
    put(tmp_path, "notes/a.txt", b"x")
    put(tmp_path, "notes/b.txt", b"x")
    put(tmp_path, "README", b"x")
    put(tmp_path, ".hidden.png", images.png())
    put(tmp_path, ".git/x.png", images.png())
    source = folder_source(str(tmp_path))
    assert [key for key, _ in source.records] == ["good"]
    told = {(p.kind, p.member) for p in source.problems}
    assert told == {
        ("not_an_image", name) for name in ("text.jpg", "empty.png", "notes/a.txt", "README")
    }
    assert any("2 files with .txt" in p.detail for p in source.problems)


def test_what_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    put(tmp_path, "good.png", images.png())
    put(tmp_path, "folder.jpg/inside.png", images.png())
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    put(tmp_path, "vanishing.png", images.png())
    source = folder_source(str(tmp_path))
    (tmp_path / "vanishing.png").unlink()
    assert [key for key, _ in source.records] == ["folder.jpg/inside", "good"]
    assert {(p.kind, p.member) for p in source.problems} == {
        ("read_error", name) for name in ("dangling.png", "pipe.png", "vanishing.png")
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_are_told(tmp_path: Path) -> None:
    put(tmp_path, "good.png", images.png())
    put(tmp_path, "secret.png", images.png())
    (tmp_path / "secret.png").chmod(0)
    source = folder_source(str(tmp_path))
    assert len(list(source.records)) == 1
    assert "Permission denied" in source.problems[0].detail


def test_links_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path, "real/a.png", images.png())
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "b.png").symlink_to(tmp_path / "real" / "a.png")
    assert [key for key, _ in folder_source(str(tmp_path)).records] == ["b", "real/a"]


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        folder_source(str(tmp_path / "missing"))
    put(tmp_path, "file.png", images.png())
    with pytest.raises(UsageError, match="is a file"):
        folder_source(str(tmp_path / "file.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no images \(no files\)"):
        folder_source(str(tmp_path / "empty"))
    put(tmp_path, "texts/a.txt", b"")
    with pytest.raises(UsageError, match=r"1 files with \.txt"):
        folder_source(str(tmp_path / "texts"))

from __future__ import annotations

import json
import os
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest

from shards import storage
from shards.build import (
    BuildReport,
    ShardLayout,
    build_from_array,
    build_from_folder,
    build_from_tars,
    build_from_torchvision,
)
from shards.errors import UsageError
from shards.reader import open_shard
from tests.support import images
from tests.support.servers import s3_bucket


def folder_of_images(root: Path, count: int = 7, *, order_seed: int | None = None) -> Path:
    names = [f"{'ant' if n % 2 else 'bee'}/{n:03d}.jpg" for n in range(count)]
    if order_seed is not None:
        random.Random(order_seed).shuffle(names)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.jpeg(images.picture(12, 16, seed=int(path.stem))))
        os.utime(path, (random.Random(name).randrange(10**9),) * 2)
    return root


def content(shard: str) -> dict[str, bytes]:
    with tarfile.open(shard) as tar:
        members = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            members[member.name] = stream.read()
        return members


def test_folder_to_shards_and_back(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path / "in")
    out = tmp_path / "out"
    report = build_from_folder(str(root), str(out), layout=ShardLayout("pool", max_count=3))
    assert [Path(p).name for p in report.shards] == [f"pool-00000{n}.tar" for n in range(3)]
    assert (report.samples, report.classes, report.problems) == (7, ("ant", "bee"), ())
    assert report.num_bytes == sum(Path(p).stat().st_size for p in report.shards)
    assert (out / "classes.txt").read_text() == "ant\nbee\n"
    files = {k: v for shard in report.shards for k, v in content(shard).items()}
    for path in root.rglob("*.jpg"):
        name = path.relative_to(root).as_posix()
        assert files.pop(name) == path.read_bytes()
        assert files.pop(name.replace(".jpg", ".cls")) == str(int("bee" in name)).encode()
    assert files == {}


def test_same_input_same_bytes_whatever_the_file_system_says(tmp_path: Path) -> None:
    made = []
    for seed in (1, 2):
        root = folder_of_images(tmp_path / f"in{seed}", order_seed=seed)
        report = build_from_folder(str(root), str(tmp_path / f"out{seed}"))
        made.append([Path(shard).read_bytes() for shard in report.shards])
    assert made[0] == made[1]


def test_bytes_limit_a_shard_too(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path / "in")
    report = build_from_folder(
        str(root), str(tmp_path / "out"), layout=ShardLayout(max_bytes=8_000)
    )
    assert len(report.shards) > 2
    assert all(Path(shard).stat().st_size <= 8_000 for shard in report.shards)


def test_problems_are_counted_and_the_rest_is_built(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path / "in", 3)
    (root / "ant" / "broken.jpg").write_bytes(images.TEXT)
    (root / "notes.txt").write_bytes(images.TEXT)
    report = build_from_folder(str(root), str(tmp_path / "out"))
    assert report.samples == 3
    assert report.problem_counts() == {"not_an_image": 2}
    record = json.loads((tmp_path / "out" / "shard-build.json").read_text())
    assert record["finished"] is True
    assert record["result"]["problems"] == {"not_an_image": 2}


def test_nothing_sound_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(images.TEXT)
    with pytest.raises(UsageError, match=r"nothing to write.*a\.jpg"):
        build_from_folder(str(tmp_path / "in"), str(tmp_path / "out"))
    assert list((tmp_path / "out").glob("*.tar")) == []


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    np.savez(tmp_path / "a.npz", x=np.zeros((450, 2, 2), np.uint8))
    build_from_array(
        str(tmp_path / "a.npz"),
        str(tmp_path / "out"),
        on_progress=lambda done, count: told.append((done, count)),
    )
    assert told == [(200, 450), (400, 450), (450, 450)]


class Interrupted(Exception):
    pass


def interrupted_build(root: Path, out: Path, after: int, layout: ShardLayout) -> None:
    def stop(done: int, _: int | None) -> None:
        if done >= after:
            raise Interrupted

    with pytest.raises(Interrupted):
        build_from_array(str(root), str(out), layout=layout, on_progress=stop)


def test_an_interrupted_build_leaves_no_half_shard_and_is_begun_again(tmp_path: Path) -> None:
    source, out = tmp_path / "a.npz", tmp_path / "out"
    np.savez(source, x=np.zeros((450, 2, 2), np.uint8))
    layout = ShardLayout(max_count=150)
    interrupted_build(source, out, 400, layout)
    assert sorted(p.name for p in out.glob("*.tar")) == ["shard-000000.tar", "shard-000001.tar"]
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []
    report = build_from_array(str(source), str(out), layout=layout)
    whole = build_from_array(str(source), str(tmp_path / "whole"), layout=layout)
    assert [Path(p).read_bytes() for p in report.shards] == [
        Path(p).read_bytes() for p in whole.shards
    ]


def test_other_shards_are_neither_overwritten_nor_mixed(tmp_path: Path) -> None:
    source, out = tmp_path / "a.npz", tmp_path / "out"
    np.savez(source, x=np.zeros((450, 2, 2), np.uint8))
    interrupted_build(source, out, 400, ShardLayout(max_count=150))
    with pytest.raises(UsageError, match="holds 2 shards called shard"):  # another layout
        build_from_array(str(source), str(out), layout=ShardLayout(max_count=100))
    build_from_array(str(source), str(out), layout=ShardLayout(max_count=100), overwrite=True)
    assert len(list(out.glob("*.tar"))) == 5
    with pytest.raises(UsageError, match="choose another folder or prefix"):  # finished
        build_from_array(str(source), str(out), layout=ShardLayout(max_count=100))
    build_from_array(str(source), str(out), layout=ShardLayout(max_count=450), overwrite=True)
    assert len(list(out.glob("*.tar"))) == 1
    build_from_array(str(source), str(out), layout=ShardLayout("more"))
    assert len(list(out.glob("*.tar"))) == 2


def test_labels_of_one_folder_mean_one_thing(tmp_path: Path) -> None:
    source, out = str(tmp_path / "a.npz"), str(tmp_path / "out")
    np.savez(source, x=np.zeros((2, 2, 2), np.uint8), y=np.array([0, 1]))
    build_from_array(source, out, class_names=["cat", "dog"])
    build_from_array(source, out, class_names=["cat", "dog"], layout=ShardLayout("more"))
    with pytest.raises(UsageError, match="other class names"):
        build_from_array(source, out, class_names=["dog", "cat"], layout=ShardLayout("third"))
    assert not list((tmp_path / "out").glob("third*"))


def test_class_names_are_one_line_each(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2, 2), np.uint8), y=np.array([0, 1]))
    build_from_array(str(tmp_path / "a.npz"), str(tmp_path / "out"), class_names=["a\nb", "c  d"])
    assert (tmp_path / "out" / "classes.txt").read_text() == "a b\nc d\n"


def test_tars_are_cut_anew_with_all_members(tmp_path: Path) -> None:
    first = build_from_folder(
        str(folder_of_images(tmp_path / "in")), str(tmp_path / "one"), layout=ShardLayout()
    )
    again = build_from_tars(
        [str(tmp_path / "one")], str(tmp_path / "two"), layout=ShardLayout("re", max_count=2)
    )
    assert len(again.shards) == 4
    assert again.samples == first.samples == 7
    merged: dict[str, bytes] = {}
    for shard in again.shards:
        merged |= content(shard)
    assert merged == content(first.shards[0])
    back = build_from_tars([str(tmp_path / "two")], str(tmp_path / "three"), layout=ShardLayout())
    assert Path(back.shards[0]).read_bytes() == Path(first.shards[0]).read_bytes()


def test_shards_are_not_written_onto_themselves(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    build_from_folder(str(folder_of_images(tmp_path / "in")), out)
    with pytest.raises(UsageError, match="lies in the folder to be written"):
        build_from_tars([out], out, overwrite=True)
    assert (tmp_path / "out" / "shard-000000.tar").exists()


def test_torchvision_dataset(tmp_path: Path) -> None:
    report = build_from_torchvision(
        "FakeData", None, str(tmp_path), options={"size": 3, "image_size": (3, 4, 4)}
    )
    with open_shard(report.shards[0]) as reader:
        assert [s.entry.key for s in reader.samples()] == [f"{n:08d}" for n in range(3)]


def test_report_counts_by_kind() -> None:
    report = BuildReport((), 0, 0, (), ())
    assert report.problem_counts() == {}


def test_shards_may_be_built_remotely(tmp_path: Path) -> None:
    root = folder_of_images(tmp_path / "in")
    local = build_from_folder(str(root), str(tmp_path / "out"), layout=ShardLayout(max_count=3))
    with s3_bucket("build") as bucket:
        out = f"{bucket}/pool"
        remote = build_from_folder(str(root), out, layout=ShardLayout(max_count=3))
        assert remote.num_bytes == local.num_bytes
        assert [storage.read_bytes(shard) for shard in remote.shards] == [
            Path(shard).read_bytes() for shard in local.shards
        ]
        assert storage.read_bytes(f"{out}/classes.txt") == b"ant\nbee\n"
        with pytest.raises(UsageError, match="holds 3 shards"):
            build_from_folder(str(root), out)

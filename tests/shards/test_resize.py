from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from shards import atomic, storage
from shards.decode import probe_size
from shards.errors import StorageError, UsageError
from shards.reader import open_shard
from shards.resize import ResizedShard, Resizing, resize_pool
from tests.support import images
from tests.support.servers import s3_bucket
from tests.support.tars import samples_tar, write_tar

HOW = Resizing(short_side=16)


def pool(folder: Path, shards: int = 3) -> str:
    for n in range(shards):
        name = f"p-{n}.tar.gz" if n == 1 else f"p-{n}.tar"
        made = {f"k{n}{m}": {"jpg": images.jpeg(images.picture(seed=m))} for m in range(3)}
        write_tar(folder / name, samples_tar({**made, f"bad{n}": {"jpg": images.TEXT}}))
    return str(folder)


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def test_one_output_per_input_with_small_images(tmp_path: Path) -> None:
    report = resize_pool([pool(tmp_path / "in")], str(tmp_path / "out"), HOW)
    assert [Path(shard.shard).name for shard in report.shards] == [f"p-{n}.tar" for n in range(3)]
    assert (report.samples, report.problem_counts()) == (9, {"undecodable": 3})
    with open_shard(report.shards[1].shard) as reader:
        sizes = [probe_size(sample.data[0]) for sample in reader.samples()]
    assert sizes == [(21, 16)] * 3


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_executors_change_nothing(tmp_path: Path, kind: str) -> None:
    source = pool(tmp_path / "in")
    alone = resize_pool([source], str(tmp_path / "alone"), HOW)
    executor: Executor
    if kind == "threads":
        executor = ThreadPoolExecutor(2)
    else:
        executor = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    seen: list[ResizedShard] = []
    with executor:
        together = resize_pool(
            [source], str(tmp_path / "out"), HOW, executor=executor, on_shard=seen.append
        )
    assert tuple(seen) == together.shards
    assert together.problems == alone.problems
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "alone")


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    source, out = pool(tmp_path / "in"), tmp_path / "out"

    def stop(_: ResizedShard) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        resize_pool([source], str(out), HOW, on_shard=stop)
    first = (out / "p-0.tar").stat().st_mtime_ns
    assert len(shard_bytes(out)) == 1
    report = resize_pool([source], str(out), HOW)
    assert (out / "p-0.tar").stat().st_mtime_ns == first
    whole = resize_pool([source], str(tmp_path / "whole"), HOW)
    assert shard_bytes(out) == shard_bytes(tmp_path / "whole")
    assert report.problems == whole.problems


def test_changed_inputs_and_lost_outputs_are_made_again(tmp_path: Path) -> None:
    source, out = pool(tmp_path / "in"), tmp_path / "out"
    resize_pool([source], str(out), HOW)
    (out / "p-2.tar").unlink()
    write_tar(tmp_path / "in" / "p-0.tar", samples_tar({"new": {"jpg": images.jpeg()}}))
    report = resize_pool([source], str(out), HOW)
    assert [shard.samples for shard in report.shards] == [1, 3, 3]
    assert len(shard_bytes(out)) == 3


def test_other_shards_are_refused(tmp_path: Path) -> None:
    source, out = pool(tmp_path / "in"), tmp_path / "out"
    resize_pool([source], str(out), HOW)
    other = Resizing(exact=8)
    with pytest.raises(UsageError, match="resized in another way"):
        resize_pool([source], str(out), other)
    report = resize_pool([source], str(out), other, overwrite=True)
    with open_shard(report.shards[0].shard) as reader:
        assert probe_size(next(iter(reader.samples())).data[0]) == (8, 8)
    write_tar(tmp_path / "foreign" / "x.tar", samples_tar({"a": {"jpg": b"1"}}))
    with pytest.raises(UsageError, match="no resizing made"):
        resize_pool([source], str(tmp_path / "foreign"), HOW)
    with pytest.raises(UsageError, match="lies in the folder to be written"):
        resize_pool([source], source, HOW)


def test_shards_of_another_pool_with_the_same_name_are_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    resize_pool([pool(tmp_path / "in")], out, HOW)
    with pytest.raises(UsageError, match=r"made from .*/in/p-0"):
        resize_pool([pool(tmp_path / "other")], out, HOW)
    report = resize_pool([pool(tmp_path / "other")], out, HOW, overwrite=True)
    assert all("/other/" in shard.source for shard in report.shards)


def test_inputs_that_would_share_an_output(tmp_path: Path) -> None:
    write_tar(tmp_path / "a" / "s.tar", samples_tar({"a": {"jpg": b"1"}}))
    write_tar(tmp_path / "b" / "s.tgz", samples_tar({"a": {"jpg": b"1"}}))
    with pytest.raises(UsageError, match=r"would both become s\.tar"):
        resize_pool([str(tmp_path / "a"), str(tmp_path / "b")], str(tmp_path / "out"), HOW)


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    source, out = pool(tmp_path / "in"), tmp_path / "out"
    resize_pool([source], str(out), HOW)
    (out / "resize" / "p-0.json").write_text("{}")
    with pytest.raises(StorageError, match="damaged"):
        resize_pool([source], str(out), HOW)


def test_pools_may_be_remote(tmp_path: Path) -> None:
    local = resize_pool([pool(tmp_path / "in")], str(tmp_path / "out"), HOW)
    with s3_bucket("resize") as bucket:
        for path in (tmp_path / "in").iterdir():
            atomic.write_bytes(f"{bucket}/in/{path.name}", path.read_bytes())
        for _ in range(2):  # the second time, everything is there
            remote = resize_pool([f"{bucket}/in"], f"{bucket}/out", HOW)
            assert remote.samples == local.samples
            assert [storage.read_bytes(shard.shard) for shard in remote.shards] == list(
                shard_bytes(tmp_path / "out").values()
            )
        other = resize_pool([f"{bucket}/in"], f"{bucket}/out", Resizing(exact=8), overwrite=True)
        assert other.samples == 9

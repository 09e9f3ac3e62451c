from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from selector.scoring.decode_job import DecodeOptions, DecodeTimes
from selector.scoring.reading import EndOfShard, ReadItem, read_shard
from selector.scoring.ring import Ring, Slot
from selector.scoring.task import ScoreTask
from selector.scoring.workers import Workers
from selector.teachers.zoo import default_preprocessing
from shards.errors import ShardError, StorageError
from shards.limits import DEFAULT_LIMITS
from shards.manifest import ShardEntry
from shards.sample import IMAGE_EXTENSIONS
from tests.support.images import jpeg, picture
from tests.support.tars import samples_tar, write_tar

OPTIONS = DecodeOptions(IMAGE_EXTENSIONS, DEFAULT_LIMITS, default_preprocessing("he/resnet20"))
IMAGES = [jpeg(picture(20, 24, seed=seed)) for seed in range(11)]


def read(uri: str, *, slots: int = 4, start: int = 0, stop: int | None = None) -> list[ReadItem]:
    """What the reader hands over, all jobs done; slots are never given back."""
    ring: Ring[DecodeTimes] = Ring(num_slots=slots, batch_size=4, input_size=(3, 32, 32))
    workers = Workers(2, name="test")
    out: queue.SimpleQueue[ReadItem] = queue.SimpleQueue()
    task = ScoreTask(ShardEntry(0, uri, 1, "e"), start=start, stop=stop)
    read_shard(task, ring=ring, workers=workers, options=OPTIONS, out=out)
    workers.close()
    return [out.get() for _ in range(out.qsize())]


@pytest.fixture
def shard(tmp_path: Path) -> str:
    samples = {f"k{index:02d}": {"jpg": data} for index, data in enumerate(IMAGES)}
    return write_tar(tmp_path / "s.tar", samples_tar(samples))


def test_batches_come_in_order_and_the_tail_is_padded(shard: str) -> None:
    *slots, end = read(shard)
    assert isinstance(end, EndOfShard)
    assert not end.is_damaged
    indexes = [[entry.index for entry in slot.rows.entries] for slot in slots]  # type: ignore[union-attr]
    assert indexes == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    tail = slots[-1]
    assert isinstance(tail, Slot)
    assert tail.pixels_NHWC[:3].any(axis=(1, 2, 3)).all()
    assert not tail.pixels_NHWC[3].any()


def test_a_range_is_cut_out(shard: str) -> None:
    *slots, end = read(shard, start=4, stop=9)
    keys = [entry.key for slot in slots for entry in slot.rows.entries]  # type: ignore[union-attr]
    assert keys == ["k04", "k05", "k06", "k07", "k08"]
    assert isinstance(end, EndOfShard)


def test_a_truncated_shard_is_damaged(shard: str) -> None:
    path = Path(shard)
    path.write_bytes(path.read_bytes()[:3000])
    *_, end = read(shard)
    assert isinstance(end, EndOfShard)
    assert end.is_damaged


def test_errors_of_the_shard_are_handed_over(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_bytes(b"no tar at all " * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    for name, error in (("text", ShardError), ("empty", ShardError), ("none", StorageError)):
        *_, last = read(str(tmp_path / f"{name}.tar"))
        assert isinstance(last, error)


def test_the_reader_runs_no_further_ahead_than_the_ring(shard: str) -> None:
    ring: Ring[DecodeTimes] = Ring(num_slots=2, batch_size=2, input_size=(3, 32, 32))
    workers = Workers(1, name="test")
    out: queue.SimpleQueue[ReadItem] = queue.SimpleQueue()
    reader = threading.Thread(
        target=read_shard,
        args=(ScoreTask(ShardEntry(0, shard, 1, "e")),),
        kwargs={"ring": ring, "workers": workers, "options": OPTIONS, "out": out},
    )
    reader.start()
    first, second = out.get(), out.get()
    reader.join(0.2)
    assert reader.is_alive()
    assert out.empty()
    for slot in (first, second):
        assert isinstance(slot, Slot)
        ring.give_back(slot)
    assert isinstance(out.get(), Slot)
    ring.close()
    reader.join()
    workers.close()


def test_a_closed_ring_ends_the_reader(shard: str) -> None:
    ring: Ring[DecodeTimes] = Ring(num_slots=1, batch_size=4, input_size=(3, 32, 32))
    ring.take()
    ring.close()
    workers = Workers(1, name="test")
    out: queue.SimpleQueue[ReadItem] = queue.SimpleQueue()
    task = ScoreTask(ShardEntry(0, shard, 1, "e"))
    read_shard(task, ring=ring, workers=workers, options=OPTIONS, out=out)
    workers.close()
    assert out.empty()

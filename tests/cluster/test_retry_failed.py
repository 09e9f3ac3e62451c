"""Failed rows done again: bytes as if nothing had ever failed, in a new version of the part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simplejpeg

from cluster.execution import ExecutionConfig
from cluster.ledger import Ledger
from cluster.run_garbage import find_garbage
from cluster.score_report import ScoreReport
from cluster.verbs.score import score
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read, read_table_list
from selector.teachers.spec import TeacherSpec
from shards.errors import CoursepackError, UsageError
from tests.support.pools import write_pool, write_shard, write_teacher

IMAGES = 40

pytestmark = pytest.mark.xdist_group("retry")

Scorer = Callable[..., ScoreReport]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("weights") / "t.safetensors")


@pytest.fixture
def scored(tmp_path: Path, weights: Path) -> Scorer:
    pool = write_pool(tmp_path / "pool", shards=2, images=IMAGES)

    def run(name: str, **options: Any) -> ScoreReport:
        return score(
            [str(pool)],
            spec=ScoreSpec(teacher=TeacherSpec(name="he/resnet8", weights=str(weights))),
            out=str(tmp_path / name),
            execution=ExecutionConfig(executor="inline", threads=1, batch_size=16),
            max_bad="100%",
            **options,
        )

    return run


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Every n-th image, by its bytes, cannot be decoded; 0 = all can."""
    decode = simplejpeg.decode_jpeg

    def fail_every(n: int) -> None:
        def decode_jpeg(data: bytes, *args: Any) -> Any:
            if n and hashlib.md5(bytes(data)).digest()[0] % n == 0:
                raise MemoryError("no memory for this one")
            return decode(data, *args)

        monkeypatch.setattr(simplejpeg, "decode_jpeg", decode_jpeg)

    return fail_every


def test_what_failed_once_is_mended_to_the_bit(
    tmp_path: Path, scored: Scorer, short_of_memory: Callable[[int], None]
) -> None:
    scored("sound")
    short_of_memory(3)
    first = scored("run")
    failed = first.statuses["undecodable"]
    assert 0 < failed < 2 * IMAGES
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.parquet")}
    short_of_memory(7)  # some fail again, none anew that was good: those are not touched
    second = scored("run", retry_failed=True)
    assert 0 < second.statuses["undecodable"] < failed
    assert (second.parts_done, second.parts_kept) == (0, 2)
    short_of_memory(0)
    third = scored("run", retry_failed=True)
    assert third.statuses == {"ok": 2 * IMAGES}
    for path, content in before.items():
        assert path.read_bytes() == content, "parts are never rewritten in place"
    parts = [
        Path(part) for part in read_table_list(RunLayout(str(tmp_path / "run")), "scores").parts
    ]
    names = [part.name.removesuffix(".parquet").split(".v") for part in parts]
    assert [name for name, _ in names] == ["00000000-00000000", "00000001-00000000"]
    assert max(version for _, version in names) == "3"
    for part in parts:
        whole = tmp_path / "sound" / "scores" / f"{part.name.partition('.')[0]}.parquet"
        assert part.read_bytes() == whole.read_bytes()
    markers = list(Ledger(str(tmp_path / "run" / "ledger")).read())
    assert [marker.counters["failed"] for marker in markers] == [0, 0]
    assert [str(marker.version) for marker in markers] == [version for _, version in names]
    assert scored("run").parts_kept == 2
    rows = len(read(RunLayout(str(tmp_path / "run")), "scores"))
    assert rows == 2 * IMAGES
    garbage = find_garbage(RunLayout(str(tmp_path / "run")), quiet_s=0.0)
    old = {Path(item.uri).name for item in garbage}
    assert not old & {part.name for part in parts}


def test_what_fails_again_in_the_same_way_makes_no_version(
    tmp_path: Path, scored: Scorer, short_of_memory: Callable[[int], None]
) -> None:
    short_of_memory(2)
    scored("run")
    files = sorted(path.name for path in (tmp_path / "run").rglob("*.parquet"))
    again = scored("run", retry_failed=True)
    assert again.statuses["undecodable"] > 0
    assert sorted(path.name for path in (tmp_path / "run").rglob("*.parquet")) == files
    assert json.dumps(again.to_dict(), default=str)


def test_a_shard_that_changed_is_not_mixed_with_what_was_scored(
    tmp_path: Path, scored: Scorer, short_of_memory: Callable[[int], None]
) -> None:
    short_of_memory(2)
    scored("run")
    write_shard(tmp_path / "pool" / "shard-001.tar", images=IMAGES, seed=5)
    with pytest.raises(CoursepackError, match="changed after they were scored"):
        scored("run", retry_failed=True)
    with pytest.raises(UsageError, match="one after the other"):
        scored("run", retry_failed=True, features=FeatureSpec(mode="full"))

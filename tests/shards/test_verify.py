from __future__ import annotations

from pathlib import Path

import pytest
import xxhash

from shards.errors import StorageError
from shards.verify import ShardCheck, verify
from tests.support import images
from tests.support.tars import header_offsets, samples_tar, tar_bytes, write_tar


def kinds(report: object) -> dict[str, int]:
    return report.problem_counts()  # type: ignore[attr-defined]


def test_sound_shards_have_counts_hashes_and_no_problems(tmp_path: Path) -> None:
    first = samples_tar({"a": {"jpg": images.jpeg(), "cls": b"0"}, "b": {"png": images.png()}})
    write_tar(tmp_path / "s-0.tar", first)
    write_tar(tmp_path / "s-1.tar.gz", samples_tar({"c": {"webp": images.webp()}}))
    report = verify([str(tmp_path)], decode=True)
    assert report.problems == ()
    assert (report.samples, report.images, report.decoded) == (3, 3, True)
    check = report.shards[0]
    assert check == ShardCheck(
        uri=str(tmp_path / "s-0.tar"),
        num_bytes=len(first),
        samples=2,
        images=2,
        members=3,
        xxh3_128=xxhash.xxh3_128_hexdigest(first),
        problems=(),
    )
    packed = (tmp_path / "s-1.tar.gz").read_bytes()
    assert report.shards[1].xxh3_128 == xxhash.xxh3_128_hexdigest(packed)
    assert report.num_bytes == len(first) + len(packed)


def test_damaged_images_show_when_decoded(tmp_path: Path) -> None:
    bad = {
        "cut": {"jpg": images.jpeg()[:-40]},
        "text": {"jpg": images.TEXT},
        "empty": {"png": b""},
        "bomb": {"png": images.bomb_png()},
        "float": {"tiff": images.tiff_float()},
        "good": {"jpg": images.jpeg()},
    }
    write_tar(tmp_path / "s.tar", samples_tar(bad))
    assert verify([str(tmp_path)]).problems == ()
    report = verify([str(tmp_path)], decode=True)
    assert kinds(report) == {"too_large": 1, "undecodable": 3, "unsupported": 1}
    assert {problem.member for problem in report.problems} == {
        "cut.jpg", "text.jpg", "empty.png", "bomb.png", "float.tiff",
    }  # fmt: skip


def test_every_kind_of_bad_shard_is_a_problem_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = samples_tar({f"k{n}": {"jpg": images.jpeg()} for n in range(4)})
    write_tar(tmp_path / "cut.tar", good[: header_offsets(good)[2] - 600])
    write_tar(tmp_path / "empty.tar", b"")
    write_tar(tmp_path / "text.tar", images.TEXT * 30)
    write_tar(tmp_path / "good.tar", good)
    write_tar(tmp_path / "nothing.tar", tar_bytes([]))
    write_tar(tmp_path / "evil.tar", tar_bytes([("../a.jpg", b"1"), ("b.txt", b"2")]))
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b" + b"\0" * 50)
    report = verify([str(tmp_path)])
    told = {(Path(problem.shard).name, problem.kind) for problem in report.problems}
    for expected in (
        ("cut.tar", "truncated"),
        ("empty.tar", "not_a_shard"),
        ("text.tar", "not_a_shard"),
        ("nothing.tar", "empty"),
        ("evil.tar", "unsafe_name"),
        ("evil.tar", "no_image"),
    ):
        assert expected in told
    assert any(name == "broken.tar.gz" for name, _ in told)
    assert not any(name == "good.tar" for name, _ in told)
    assert [Path(check.uri).name for check in report.shards] == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_copies_of_a_shard_are_told(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, samples_tar({"a": {"jpg": images.jpeg()}}))
    report = verify([str(tmp_path)])
    assert kinds(report) == {"duplicate_shard": 1}
    assert report.problems[0].shard.endswith("b.tar")


def test_verify_never_changes_anything(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", samples_tar({"a": {"jpg": images.TEXT}})[:900])
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    verify([str(tmp_path)], decode=True)
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()}


def test_a_shard_that_vanishes_is_a_problem(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar", "c.tar"):
        write_tar(tmp_path / name, samples_tar({name[0]: {"jpg": name.encode()}}))

    def vanish(check: ShardCheck) -> None:
        (tmp_path / "c.tar").unlink(missing_ok=True)

    (tmp_path / "b.tar").unlink()
    (tmp_path / "b.tar").mkdir()
    report = verify([str(tmp_path / "{a,c}.tar")], threads=1, on_shard=vanish)
    assert report.shards[0].samples == 1
    assert set(kinds(report)) <= {"read_error"}
    with pytest.raises(StorageError):
        verify([str(tmp_path / "none.tar")])


def test_threads_change_nothing(tmp_path: Path) -> None:
    for n in range(5):
        write_tar(
            tmp_path / f"s-{n}.tar", samples_tar({f"a{n}": {"jpg": images.jpeg()[: 300 + n]}})
        )
    seen: list[str] = []
    many = verify([str(tmp_path)], decode=True, threads=4, on_shard=lambda c: seen.append(c.uri))
    assert many == verify([str(tmp_path)], decode=True, threads=1)
    assert seen == [check.uri for check in many.shards]

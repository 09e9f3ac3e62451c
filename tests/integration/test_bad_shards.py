"""Shards that are no tars, break off, or hold what they should not: told, scored around, mended."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import images
from tests.support.command import coursepack, rows, score
from tests.support.tars import (
    FORMATS,
    header_offsets,
    samples_tar,
    tar_bytes,
    without_end_marker,
    write_tar,
)

IMAGES = 6
PICTURES = [images.jpeg(images.picture(seed=seed)) for seed in range(IMAGES)]
WHOLE = samples_tar({f"k{n}": {"jpg": data} for n, data in enumerate(PICTURES)})


def write_dir(path: Path) -> None:
    path.mkdir(parents=True)


def write_link(path: Path) -> None:
    path.symlink_to("/nowhere/shard.tar")


def bytes_writer(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


NO_SHARDS: dict[str, tuple[Callable[[Path], None], str]] = {
    # name: (how it comes to be, what the message says)
    "empty.tar": (bytes_writer(b""), "is empty (0 bytes)"),
    "text.tar": (bytes_writer(b"hello\n" * 300), "is not a tar"),
    "page.tar": (bytes_writer(b"<html>404 Not Found</html>" * 40), "a web page"),
    "packed.tar": (bytes_writer(b"\x1f\x8b" + bytes(2000)), "name it .tar.gz"),
    "words.tgz": (bytes_writer(b"hello\n" * 300), "is not a tar"),
    "folder.tar": (write_dir, "is a directory"),
    "link.tar": (write_link, "does not exist"),
}


def test_what_is_no_shard_is_quarantined_by_name_and_the_rest_is_scored(
    tmp_path: Path, weights: Path
) -> None:
    pool, run = tmp_path / "pool", tmp_path / "run"
    write_tar(pool / "good.tar", WHOLE)
    for name, (write, _) in NO_SHARDS.items():
        write(pool / name)
    answer = score(pool, weights, run)
    assert answer.exit_code == 3
    found = {Path(item["uri"]).name: item["reason"] for item in answer.json["quarantined"]}
    assert found.keys() == NO_SHARDS.keys()
    for name, (_, text) in NO_SHARDS.items():
        assert str(pool / name) in found[name]
        assert text in found[name]
        assert "same command" in found[name]
        assert any(found[name] == warning for warning in answer.json["warnings"])
    assert answer.json["rows"] == IMAGES
    assert coursepack("select", run, "--recipe", "dfnd", "--n", 2).exit_code == 0

    for name in NO_SHARDS:
        (pool / name).rmdir() if name == "folder.tar" else (pool / name).unlink()
    write_tar(pool / "text.tar", WHOLE)
    mended = score(pool, weights, run)
    assert mended.exit_code == 0, mended.output
    assert (mended.json["parts_done"], mended.json["parts_kept"]) == (1, 1)
    assert rows(run, "SELECT shard, count(*) AS n FROM scores GROUP BY 1 ORDER BY 1") == [
        {"shard": "good.tar", "n": IMAGES},
        {"shard": "text.tar", "n": IMAGES},
    ]
    assert any("never scored, and not in the pool" in text for text in mended.json["warnings"])


@pytest.mark.parametrize("verb", ["verify", "info", "build", "resize"])
def test_the_other_verbs_of_shards_tell_them_too(tmp_path: Path, verb: str) -> None:
    pool, out = tmp_path / "pool", tmp_path / "out"
    write_tar(pool / "good.tar", WHOLE)
    for name, (write, _) in NO_SHARDS.items():
        write(pool / name)
    if verb == "info":
        problems = coursepack("shards", "info", pool, "--json").json["problems"]
        assert problems == {"not_a_shard": len(NO_SHARDS) - 1, "read_error": 1}
        return
    options = {"build": ["--out", out], "resize": ["--out", out, "--exact", 16]}.get(verb, [])
    expected = set(NO_SHARDS)
    if verb != "verify":  # a place that fails ends what makes new shards
        failed = coursepack("shards", verb, pool, *options)
        assert failed.exit_code == 1
        assert f"{pool / 'link.tar'} does not exist" in failed.errors
        (pool / "link.tar").unlink()
        expected.remove("link.tar")
    answer = coursepack("shards", verb, pool, "--json", *options)
    assert answer.exit_code == 3
    assert {Path(problem["shard"]).name for problem in answer.json["problems"]} == expected
    if verb != "verify":
        assert answer.json["samples"] == IMAGES


CUTS = {
    "within a member": WHOLE[: header_offsets(WHOLE)[3] + 700],
    "behind a member": WHOLE[: header_offsets(WHOLE)[3]],
    "before the end marker": without_end_marker(WHOLE),
    "zeros for a header": WHOLE[: header_offsets(WHOLE)[3]]
    + bytes(512)
    + WHOLE[header_offsets(WHOLE)[3] + 512 :],
    "a damaged header": WHOLE[: header_offsets(WHOLE)[3]]
    + b"\xff" * 512
    + WHOLE[header_offsets(WHOLE)[3] + 512 :],
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_shard_that_breaks_off_gives_what_it_has_and_is_scored_again_once_mended(
    tmp_path: Path, weights: Path, cut: str
) -> None:
    shard, run = tmp_path / "pool" / "s.tar", tmp_path / "run"
    write_tar(shard, CUTS[cut])
    broken = score(shard.parent, weights, run, "--max-bad", "50%")
    assert broken.exit_code == 3
    assert broken.json["damaged"] == [str(shard)]
    assert any(str(shard) in text and "mend it" in text for text in broken.json["warnings"])
    sound = rows(run, "SELECT key, noise_value FROM scores WHERE status = 'ok' ORDER BY row_id")
    assert [row["key"] for row in sound] == [f"k{n}" for n in range(len(sound))]
    assert len(sound) >= 2, "one that may lack members is not taken"
    command = ("select", run, "--recipe", "everything", "--json")
    chosen = coursepack(*command)
    assert chosen.exit_code == 0

    assert score(shard.parent, weights, run, "--max-bad", "50%").json["parts_done"] == 0
    write_tar(shard, WHOLE)
    mended = score(shard.parent, weights, run)
    assert (mended.exit_code, mended.json["rows"], mended.json["warnings"]) == (0, IMAGES, [])
    again = rows(run, "SELECT key, noise_value FROM scores ORDER BY row_id")
    assert again[: len(sound)] == sound
    stale = coursepack(*command)
    assert stale.exit_code == 2, "the tables are others now, though they have the same parts"
    assert "other tables" in stale.errors
    assert coursepack(*command, "--overwrite").json["num_rows"] == IMAGES


def test_a_truncated_compressed_shard(tmp_path: Path, weights: Path) -> None:
    shard, run = tmp_path / "pool" / "s.tar.gz", tmp_path / "run"
    write_tar(shard, WHOLE)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) * 6 // 10])
    broken = score(shard, weights, run, "--max-bad", "50%")
    assert broken.exit_code == 3
    assert broken.json["damaged"] == [str(shard)]
    assert broken.json["statuses"]["read_error"] == 1
    shard.write_bytes(whole)
    mended = score(shard, weights, run)
    assert (mended.exit_code, mended.json["rows"]) == (0, IMAGES)


def test_a_broken_shard_that_is_taken_out_of_the_pool_is_told_but_no_failure(
    tmp_path: Path, weights: Path
) -> None:
    pool, run = tmp_path / "pool", tmp_path / "run"
    write_tar(pool / "a.tar", WHOLE)
    write_tar(pool / "b.tar", CUTS["behind a member"])
    assert score(pool, weights, run).exit_code == 3
    (pool / "b.tar").unlink()
    answer = score(pool, weights, run)
    assert answer.exit_code == 0
    assert answer.json["rows"] == IMAGES + 3
    assert any(str(pool / "b.tar") in warning for warning in answer.json["warnings"])


ODD_MEMBERS = [
    ("a.jpg", PICTURES[0]),
    ("../up.jpg", PICTURES[1]),
    ("/etc/abs.jpg", PICTURES[2]),
    ("b.jpg", PICTURES[3]),
    ("a.jpg", PICTURES[4]),  # the key returns
    ("b.cls", b"3"),  # apart from its image
    ("c.jpg", PICTURES[5]),
    ("c.jpg", PICTURES[0]),  # the extension again
    ("inner.tar", WHOLE),
    ("notes.txt", b"no image"),
]


@pytest.mark.parametrize("tar_format", FORMATS)
def test_odd_members_are_rows_of_their_own_and_never_written_elsewhere(
    tmp_path: Path, weights: Path, tar_format: str
) -> None:
    pool, run, out = tmp_path / "a" / "pool", tmp_path / "a" / "run", tmp_path / "a" / "out"
    shard = write_tar(pool / "odd.tar", tar_bytes(ODD_MEMBERS, format=tar_format))
    answer = score(pool, weights, run)
    assert answer.exit_code == 3, "half of it failed"
    assert answer.json["damaged"] == answer.json["quarantined"] == []
    assert any(
        "1 duplicate_key, 1 repeated_member, 1 split_sample, 2 unsafe_name" in warning
        for warning in answer.json["warnings"]
    )
    found = rows(run, "SELECT key, status, error FROM scores ORDER BY row_id")
    assert [(row["key"], row["status"]) for row in found] == [
        ("a", "ok"), ("../up", "read_error"), ("/etc/abs", "read_error"), ("b", "ok"), ("a", "ok"),
        ("b", "no_image"), ("c", "ok"), ("c", "ok"), ("inner", "no_image"), ("notes", "no_image"),
    ]  # fmt: skip
    assert "unsafe member name '../up.jpg'" in found[1]["error"]
    assert "none of its members (.tar)" in found[8]["error"]

    verify = coursepack("shards", "verify", pool, "--json")
    assert verify.exit_code == 3
    assert {(p["kind"], p["member"]) for p in verify.json["problems"]} >= {
        ("duplicate_key", "a"), ("split_sample", "b"), ("repeated_member", "c.jpg"),
        ("unsafe_name", "../up.jpg"), ("unsafe_name", "/etc/abs.jpg"), ("no_image", "inner"),
    }  # fmt: skip
    assert {p["shard"] for p in verify.json["problems"]} == {shard}

    assert coursepack("select", run, "--recipe", "everything").exit_code == 0
    exported = coursepack("export", run, "--selection", "everything", "--out", out, "--json")
    assert (exported.exit_code, exported.json["images"], exported.json["renamed"]) == (0, 5, 4)
    with tarfile.open(out / "selected-000000.tar") as tar:
        names = tar.getnames()
        extracted = [tar.extractfile(name).read() for name in names]  # type: ignore[union-attr]
    assert len({name.partition(".")[0] for name in names}) == 5, "no two samples melt into one"
    assert sorted(extracted) == sorted(PICTURES[n] for n in (0, 3, 4, 5, 0))
    assert not (tmp_path / "up.jpg").exists()
    assert not (tmp_path / "a" / "up.jpg").exists()


def test_a_tar_without_samples_is_told_and_leaves_an_empty_table(
    tmp_path: Path, weights: Path
) -> None:
    run = tmp_path / "run"
    write_tar(tmp_path / "pool" / "s.tar", tar_bytes([]))
    answer = score(tmp_path / "pool", weights, run)
    assert (answer.exit_code, answer.json["rows"]) == (0, 0)
    assert any("1 empty" in warning for warning in answer.json["warnings"])
    assert rows(run, "SELECT count(*) AS n FROM scores") == [{"n": 0}]
    nothing = coursepack("select", run, "--recipe", "everything")
    assert nothing.exit_code == 2
    assert "the selection is empty" in nothing.errors


def test_a_run_without_any_scored_shard_says_so(tmp_path: Path, weights: Path) -> None:
    run = tmp_path / "run"
    write_tar(tmp_path / "pool" / "s.tar", b"")
    assert score(tmp_path / "pool", weights, run).exit_code == 3
    for command in (
        ("query", run, "SELECT 1"),
        ("select", run, "--recipe", "everything"),
        ("report", run, "--selection", "s"),
        ("export", run, "--selection", "s", "--out", tmp_path / "out"),
    ):
        answer = coursepack(*command)
        assert answer.exit_code == 2
        assert str(run) in answer.errors
    assert "no shard of it is scored yet" in coursepack("query", run, "SELECT 1").errors

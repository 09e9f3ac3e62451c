"""A pool of every odd and hostile image, through every verb: rows with reasons, right exit codes.

What each image becomes is `tests.support.hostile`'s business; here it is what a user sees of it.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from tests.support import images
from tests.support.command import coursepack, rows, score
from tests.support.hostile import BAD, HOSTILE
from tests.support.tars import samples_tar, write_tar

SOUND = sorted(set(HOSTILE) - set(BAD))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A pool of one shard that holds them all, and a run that scored it."""
    folder = tmp_path_factory.mktemp("images")
    samples = {key: {extension: data} for key, (data, extension, _) in HOSTILE.items()}
    write_tar(folder / "pool" / "odd.tar", samples_tar(samples))
    assert score(folder / "pool", weights, folder / "run").exit_code == 3
    return folder


def members(folder: Path) -> dict[str, bytes]:
    """Name -> bytes over all tars of a folder."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_every_image_is_one_row_with_its_reason(workplace: Path) -> None:
    found = rows(workplace / "run", "SELECT * FROM scores ORDER BY row_id")
    assert [(row["key"], row["status"]) for row in found] == [
        (key, status) for key, (_, _, status) in HOSTILE.items()
    ]
    for row in found:
        assert (row["error"] is None) == (row["status"] == "ok") == (row["noise_value"] is not None)
    size = {row["key"]: (row["height"], row["width"]) for row in found}
    assert size["exif_rotated"] == images.quadrants().shape[:2], "as it is shown, not as stored"
    reason = {row["key"]: row["error"] for row in found}
    assert "10000 x 10000" in reason["bomb_100_megapixels"]
    assert "not an image" in reason["text_called_jpg"]


@pytest.mark.parametrize(
    ("allowed", "exit_code"),
    [("5%", 3), (len(BAD) - 1, 3), (len(BAD), 0), ("99%", 0), ("0.99", 0), ("0", 3)],
)
def test_the_bad_budget_decides_the_exit_code(
    workplace: Path, weights: Path, allowed: object, exit_code: int
) -> None:
    answer = score(workplace / "pool", weights, workplace / "run", "--max-bad", allowed)
    assert answer.exit_code == answer.json["exit_code"] == exit_code
    assert answer.json["rows"] == len(HOSTILE)
    assert answer.json["parts_done"] == 0, "the budget is no reason to score again"
    told = [warning for warning in answer.json["warnings"] if "images failed" in warning]
    assert bool(told) == (exit_code == 3)
    if told:
        assert f"{len(BAD)} of {len(HOSTILE)}" in told[0]
        assert "status <> 'ok'" in told[0], "says how to see them"


def test_verify_names_each_bad_image_if_asked_to_decode(workplace: Path) -> None:
    quick = coursepack("shards", "verify", workplace / "pool", "--json")
    assert quick.exit_code == 3
    assert {problem["kind"] for problem in quick.json["problems"]} == {"no_image"}
    full = coursepack("shards", "verify", workplace / "pool", "--decode", "--json")
    assert full.exit_code == 3
    assert {problem["member"].partition(".")[0] for problem in full.json["problems"]} == set(BAD)


def test_resize_leaves_out_the_bad_ones_and_says_so(workplace: Path, tmp_path: Path) -> None:
    command = ("shards", "resize", workplace / "pool", "--exact", 16, "--json", "--out")
    answer = coursepack(*command, tmp_path / "small")
    assert answer.exit_code == 3
    assert answer.json["samples"] == len(SOUND)
    assert {problem["member"].partition(".")[0] for problem in answer.json["problems"]} == set(BAD)
    small = members(tmp_path / "small")
    assert sorted(name.partition(".")[0] for name in small) == SOUND
    for data in small.values():
        assert Image.open(io.BytesIO(data)).size == (16, 16)
    assert coursepack(*command, tmp_path / "small", "--max-bad", "60%").exit_code == 0


def test_build_keeps_the_bytes_of_what_has_a_header_and_tells_the_rest(tmp_path: Path) -> None:
    pictures = {key: entry for key, entry in HOSTILE.items() if not entry[1].endswith("tar")}
    for key, (data, extension, _) in pictures.items():
        path = tmp_path / "photos" / f"{key}.{extension}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    answer = coursepack("shards", "build", tmp_path / "photos", "--out", tmp_path / "p", "--json")
    assert answer.exit_code == 3
    built = members(tmp_path / "p")
    assert set(SOUND) <= {name.partition(".")[0] for name in built}
    for name, data in built.items():
        assert data == HOSTILE[name.partition(".")[0]][0]
    told = {problem["member"].partition(".")[0] for problem in answer.json["problems"]}
    assert told | {name.partition(".")[0] for name in built} == set(pictures)


def test_a_folder_of_images_and_tars_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(images.jpeg())
    write_tar(tmp_path / "old.tar", samples_tar({"b": {"jpg": images.jpeg()}}))
    answer = coursepack("shards", "build", tmp_path, "--out", tmp_path / "p")
    assert answer.exit_code == 2
    assert "images (a.jpg, ...) and tars (old.tar, ...)" in answer.errors


def test_a_selection_holds_sound_images_only_and_never_more_than_there_are(
    workplace: Path,
) -> None:
    run = workplace / "run"
    refused = coursepack("select", run, "--recipe", "dfnd", "--n", len(HOSTILE), "--name", "more")
    assert refused.exit_code == 2
    assert f"{len(HOSTILE)} rows wanted, {len(SOUND)} there" in refused.errors
    recipe = workplace / "all.yaml"
    recipe.write_text(
        "name: all\nsteps:\n  - take: {n: 100, order: noise_value, shortage: accept}\n"
    )
    accepted = coursepack("select", run, "--recipe", recipe, "--json")
    assert accepted.exit_code == 0
    assert "100 rows wanted" in accepted.errors
    chosen = rows(run, "SELECT key FROM scores JOIN selection_all USING (row_id) ORDER BY 1")
    assert [row["key"] for row in chosen] == SOUND


def test_export_copies_odd_images_byte_by_byte_and_report_shows_them(workplace: Path) -> None:
    run, out = workplace / "run", workplace / "out"
    assert coursepack("select", run, "--recipe", "dfnd", "--n", len(SOUND)).exit_code == 0
    assert coursepack("export", run, "--selection", "dfnd", "--out", out).exit_code == 0
    assert members(out) == {f"{key}.{HOSTILE[key][1]}": HOSTILE[key][0] for key in SOUND}
    answer = coursepack("report", run, "--selection", "dfnd", "--json")
    assert answer.exit_code == 0
    assert answer.json["warnings"] == []
    page = Path(answer.json["report"]).read_text()
    for status in {HOSTILE[key][2] for key in BAD}:
        assert status in page

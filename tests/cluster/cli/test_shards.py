"""`coursepack shards` on real files: from a folder of images to a smaller pool."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cluster.cli.main import app
from tests.support.images import picture, save
from tests.support.tars import samples_tar


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def _json(*arguments, code=0):
    result = _invoke(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def photos(tmp_path):
    """Two class folders of three images each, and a file that never was one."""
    folder = tmp_path / "photos"
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            data = save(Image.fromarray(picture(40, 60, seed=10 * label + number)), "JPEG")
            (folder / name / f"{number}.jpg").write_bytes(data)
    (folder / "cat" / "README.txt").write_text("three cats")
    return folder


def test_a_folder_becomes_a_pool_that_is_described_verified_and_resized(photos, tmp_path):
    pool, small = tmp_path / "pool", tmp_path / "small"
    built = _json("shards", "build", photos, "--out", pool, "--max-count", 4)
    assert built["exit_code"] == 0
    assert (built["samples"], built["classes"], len(built["shards"])) == (6, ["cat", "dog"], 2)
    assert [problem["kind"] for problem in built["problems"]] == ["not_an_image"]

    info = _json("shards", "info", pool)
    assert (info["shards"], info["samples"], info["extensions"]) == (2, 6, {"jpg": 6, "cls": 6})

    verified = _json("shards", "verify", pool, "--decode")
    assert verified["problems"] == []
    assert all(len(shard["xxh3_128"]) == 32 for shard in verified["shards"])

    resized = _json("shards", "resize", pool, "--short-side", 20, "--out", small)
    assert resized["samples"] == 6
    assert resized["num_bytes_out"] < resized["num_bytes_in"]
    assert _json("shards", "info", small)["width"]["max"] == 30


def test_text_output_names_counts_and_problems(photos, tmp_path):
    (photos / "dog" / "broken.jpg").write_bytes(b"not a jpeg")
    result = _invoke("shards", "build", photos, "--out", tmp_path / "pool", "--max-bad", "20%")
    assert result.exit_code == 0
    assert "not_an_image" in result.stdout
    assert "dog/broken.jpg" in result.stdout
    assert "6 samples in 1 shards" in result.stdout


def test_more_bad_images_than_allowed_is_no_success(photos, tmp_path):
    (photos / "dog" / "broken.jpg").write_bytes(b"not a jpeg")
    assert _invoke("shards", "build", photos, "--out", tmp_path / "pool").exit_code == 3


def test_the_same_input_gives_the_same_bytes_and_is_not_overwritten_unasked(photos, tmp_path):
    pool = tmp_path / "pool"
    assert _invoke("shards", "build", photos, "--out", pool).exit_code == 0
    before = (pool / "shard-000000.tar").read_bytes()
    again = _invoke("shards", "build", photos, "--out", pool)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert _invoke("shards", "build", photos, "--out", pool, "--overwrite").exit_code == 0
    assert (pool / "shard-000000.tar").read_bytes() == before


def test_an_array_with_labels_and_names(tmp_path):
    images = np.stack([picture(8, 8, seed=seed) for seed in range(5)])
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(5) % 2)
    (tmp_path / "names.txt").write_text("even\nodd\n")
    pool = tmp_path / "pool"
    built = _json(
        "shards", "build", tmp_path / "images.npz", "--class-names", tmp_path / "names.txt",
        "--out", pool,
    )  # fmt: skip
    assert (built["samples"], built["classes"]) == (5, ["even", "odd"])
    assert _json("shards", "info", pool)["extensions"] == {"png": 5, "cls": 5}


def test_tars_are_cut_anew(photos, tmp_path):
    pool, other = tmp_path / "pool", tmp_path / "other"
    _json("shards", "build", photos, "--out", pool)
    built = _json("shards", "build", pool, "--out", other, "--max-count", 2, "--prefix", "cut")
    assert (built["samples"], len(built["shards"])) == (6, 3)
    assert built["shards"][0].endswith("cut-000000.tar")


def test_torchvision_data_that_is_not_there(tmp_path):
    arguments = ("--root", tmp_path / "none", "--out", tmp_path / "pool")
    result = _invoke("shards", "build", "torchvision:MNIST", *arguments)
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("error: ")
    assert "download" in result.stderr.lower()


def test_options_of_another_kind_of_source_are_refused(photos, tmp_path):
    labels = _invoke("shards", "build", photos, "--labels", "y.npy", "--out", tmp_path / "pool")
    assert labels.exit_code == 2
    assert "--labels goes with a source of kind array; found folder" in labels.stderr


def test_two_folders_are_refused(photos, tmp_path):
    result = _invoke("shards", "build", photos, photos, "--out", tmp_path / "pool")
    assert result.exit_code == 2
    assert "expected one folder" in result.stderr


def test_damaged_shards_end_with_code_3_and_the_rest_is_told(tmp_path):
    pool = tmp_path / "pool"
    pool.mkdir()
    image = save(Image.fromarray(picture(16, 16)), "PNG")
    whole = samples_tar({f"k{number}": {"png": image} for number in range(4)})
    (pool / "a.tar").write_bytes(whole)
    (pool / "b.tar").write_bytes(whole[: len(whole) // 2])
    (pool / "c.tar").write_bytes(b"")
    report = _json("shards", "verify", pool, code=3)
    damaged = {problem["shard"].rpartition("/")[2] for problem in report["problems"]}
    assert damaged == {"b.tar", "c.tar"}
    result = _invoke("shards", "verify", pool)
    assert result.exit_code == 3
    assert "b.tar" in result.stdout
    resized = _invoke("shards", "resize", pool, "--exact", 8, "--out", tmp_path / "small")
    assert resized.exit_code == 3


def test_resize_wants_exactly_one_size(tmp_path):
    result = _invoke("shards", "resize", tmp_path, "--out", tmp_path / "small")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_a_pool_that_is_not_there(tmp_path):
    for verb in ("verify", "info"):
        result = _invoke("shards", verb, tmp_path / "missing")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "missing" in result.stderr


def test_hostile_names_do_not_reach_the_terminal(tmp_path):
    image = io.BytesIO()
    Image.fromarray(picture(8, 8)).save(image, "PNG")
    (tmp_path / "a.tar").write_bytes(samples_tar({"../x\x1b[2J": {"png": image.getvalue()}}))
    result = _invoke("shards", "verify", tmp_path / "a.tar")
    assert result.exit_code == 3
    assert "\x1b" not in result.output

"""Training and evaluation data that cannot be used: told by shard and sample before any step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import images
from tests.support.command import Answer, coursepack
from tests.support.pools import write_teacher
from tests.support.tars import header_offsets, samples_tar, tar_bytes, write_tar

PIXELS = [images.png(images.picture(32, 32, seed=seed)[:, :, 0]) for seed in range(40)]


def labelled(count: int, *, label: bytes | None = None) -> dict[str, dict[str, bytes]]:
    return {
        f"k{n:02d}": {"png": PIXELS[n], "cls": label or str(n % 10).encode()} for n in range(count)
    }


SOUND = samples_tar(labelled(40))
SHARDS: dict[str, bytes] = {
    "unlabelled": samples_tar({f"k{n}": {"png": PIXELS[n]} for n in range(8)}),
    "labelled": samples_tar(labelled(8)),
    "named": samples_tar(labelled(8, label=b"cat")),
    "beyond": samples_tar(labelled(8, label=b"77")),
    "undecodable": samples_tar({f"k{n}": {"png": images.TEXT, "cls": b"1"} for n in range(8)}),
    "half": samples_tar(labelled(8) | {f"x{n}": {"png": images.TEXT} for n in range(8)}),
    "imageless": samples_tar({f"k{n}": {"json": b"{}"} for n in range(8)}),
    "empty": tar_bytes([]),
    "zero": b"",
    "text": b"no tar\n" * 200,
    "cut": SOUND[: header_offsets(SOUND)[76] + 600],
    "cut_behind_a_member": SOUND[: header_offsets(SOUND)[76]],
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per kind of data, and the weights of a small teacher."""
    folder = tmp_path_factory.mktemp("training")
    for name, data in SHARDS.items():
        write_tar(folder / name / "s.tar", data)
    (folder / "nothing").mkdir()
    write_teacher(folder / "lenet.safetensors", name="lenet/5-half")
    return folder


def distill(
    workplace: Path, out: Path, *, train: str, evaluation: str = "labelled", objective: str = "kd"
) -> Answer:
    path = out.with_suffix(".yaml")
    path.write_text(
        f"teacher: {{name: lenet/5-half, weights: {workplace / 'lenet.safetensors'}}}\n"
        "student: {name: lenet/5-half}\n"
        f"data: {{train: [{workplace / train}], eval: [{workplace / evaluation}]}}\n"
        f"objective: {{kind: {objective}}}\nbatch_size: 4\nsteps: 2\nout: {out}\nthreads: 1\n"
    )
    return coursepack("distill", path, "--json")


UNUSABLE: Mapping[str, tuple[int, str]] = {
    # data: (exit code, what the message says)
    "nowhere": (1, "does not exist"),
    "nothing": (1, "no .tar, .tar.gz or .tgz file there"),
    "imageless": (2, "none of 8 samples has an image"),
    "empty": (2, "none of 0 samples has an image"),
    "zero": (1, "s.tar is empty (0 bytes)"),
    "text": (1, "s.tar is not a tar"),
    "undecodable": (1, "8 of 8 samples are unusable (8 undecodable)"),
    "half": (1, "8 of 16 samples are unusable (8 undecodable)"),
}


@pytest.mark.parametrize("data", UNUSABLE)
@pytest.mark.parametrize("role", ["train", "evaluation"])
def test_images_that_cannot_be_used(workplace: Path, tmp_path: Path, role: str, data: str) -> None:
    exit_code, told = UNUSABLE[data]
    roles = {"train": "unlabelled", role: data}
    answer = distill(workplace, tmp_path / "out", **roles)
    assert answer.exit_code == exit_code
    message = answer.json["error"]["message"]
    assert str(workplace / data) in message
    assert told in message
    assert not list((tmp_path / "out").glob("*.safetensors"))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("unlabelled", "no .cls member, and 8 of 8 images lack one"),
        ("named", "label 'cat' is no class; expected a number from 0 to 9"),
        ("beyond", "label '77' is no class"),
    ],
)
def test_labels_that_cannot_be_used(workplace: Path, tmp_path: Path, data: str, told: str) -> None:
    for number, roles in enumerate(
        ({"train": "labelled", "evaluation": data}, {"train": data, "objective": "supervised"})
    ):
        answer = distill(workplace, tmp_path / f"out{number}", **roles)
        assert answer.exit_code == 2
        assert f"{workplace / data / 's.tar'} sample 0: {told}" in answer.json["error"]["message"]


@pytest.mark.parametrize("data", ["cut", "cut_behind_a_member"])
@pytest.mark.parametrize("role", ["train", "evaluation"])
def test_a_shard_that_breaks_off_trains_but_is_no_success(
    workplace: Path, tmp_path: Path, role: str, data: str
) -> None:
    roles = {"train": "unlabelled", role: data}
    for _ in range(2):  # the finished training says it again
        answer = distill(workplace, tmp_path / "out", **roles)
        assert answer.exit_code == answer.json["exit_code"] == 3
        (told,) = answer.json["card"]["data"]["breaks"]
        assert str(workplace / data / "s.tar") in told
        assert told in answer.errors
    assert (tmp_path / "out" / "student.safetensors").exists()


def test_too_many_damaged_samples_are_named(workplace: Path, tmp_path: Path) -> None:
    write_tar(tmp_path / "short" / "s.tar", SOUND[: header_offsets(SOUND)[8] + 600])
    answer = distill(workplace, tmp_path / "out", train=str(tmp_path / "short"))
    assert answer.exit_code == 1
    message = answer.json["error"]["message"]
    assert "1 of 5 samples are unusable (1 damaged)" in message
    assert f"{tmp_path / 'short' / 's.tar'} sample 4: truncated shard" in message


def test_an_out_of_another_training(workplace: Path, tmp_path: Path) -> None:
    assert distill(workplace, tmp_path / "out", train="unlabelled").exit_code == 0
    other = distill(workplace, tmp_path / "out", train="labelled", objective="pseudo_label")
    assert other.exit_code == 2
    assert "objective.kind: 'kd' there, 'pseudo_label' now" in other.json["error"]["message"]
    (tmp_path / "out" / "card.json").write_text("torn")
    torn = distill(workplace, tmp_path / "out", train="unlabelled")
    assert torn.exit_code == 1
    assert "card.json is no card of a run; remove it" in torn.json["error"]["message"]

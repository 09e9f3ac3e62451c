from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from distiller.checkpoint import checkpoints, load_newest_checkpoint, save_checkpoint
from shards.errors import CoursepackError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = {"student": {"w": torch.arange(4.0)}, "seconds": 1.5, "names": ["a"], "none": None}
    path = save_checkpoint(tmp_path, 50, state)
    assert path.name == "step-00000050.pt"
    found, warnings = load_newest_checkpoint(tmp_path)
    assert found is not None
    assert warnings == []
    assert found["step"] == 50
    assert torch.equal(found["student"]["w"], torch.arange(4.0))
    assert (found["seconds"], found["names"], found["none"]) == (1.5, ["a"], None)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 15, 100):
        save_checkpoint(tmp_path, step, {})
    assert [step for step, _ in checkpoints(tmp_path)] == [15, 100]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert load_newest_checkpoint(tmp_path / "missing") == (None, [])


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_an_unreadable_newest_one_is_passed_over_with_a_warning(
    tmp_path: Path, damage: bytes | None
) -> None:
    save_checkpoint(tmp_path, 5, {"x": torch.ones(1000)})
    newest = save_checkpoint(tmp_path, 10, {"x": torch.ones(1000)})
    newest.write_bytes(newest.read_bytes()[:2000] if damage is None else damage)
    found, warnings = load_newest_checkpoint(tmp_path)
    assert found is not None
    assert found["step"] == 5
    assert len(warnings) == 1
    assert "step-00000010.pt cannot be read" in warnings[0]


def test_only_unreadable_ones_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "step-00000001.pt").write_bytes(b"no archive")
    with pytest.raises(CoursepackError, match=r"no checkpoint can be read .* to start over"):
        load_newest_checkpoint(tmp_path)


def test_a_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"step": 1, "x": Attack()}, tmp_path / "step-00000001.pt")
    with pytest.raises(CoursepackError, match="no checkpoint can be read"):
        load_newest_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "step-00000001.pt", weights_only=True)


def test_an_unfinished_write_is_no_checkpoint(tmp_path: Path) -> None:
    class Unsaveable:
        def __reduce__(self) -> tuple[object, ...]:
            raise RuntimeError("cannot be saved")

    with pytest.raises(RuntimeError, match="cannot be saved"):
        save_checkpoint(tmp_path, 7, {"x": Unsaveable()})
    assert list(tmp_path.iterdir()) == []

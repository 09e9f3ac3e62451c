from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selector.teachers.weights import file_name, read_weights
from shards.errors import StorageError, UsageError
from tests.support.models import save_weights, tiny_model

STATE = {name: tensor.clone() for name, tensor in tiny_model().state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".pth", ".ckpt"])
def test_every_format_gives_back_the_tensors(tmp_path: Path, suffix: str) -> None:
    path = save_weights(tmp_path / f"w{suffix}", STATE)
    read = read_weights(path)
    assert set(read) == set(STATE)
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_checkpoints_are_unwrapped(tmp_path: Path, key: str) -> None:
    torch.save({"epoch": 3, "acc": 91.7, key: STATE}, tmp_path / "c.pth")
    assert set(read_weights(str(tmp_path / "c.pth"))) == set(STATE)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    torch.save({"state_dict": STATE, "extra": Evil(target)}, tmp_path / "evil.pt")
    with pytest.raises(UsageError, match="does not load as plain tensors"):
        read_weights(str(tmp_path / "evil.pt"))
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Evil(target), protocol=2))
    with pytest.raises(UsageError, match="does not load as plain tensors"):
        read_weights(str(tmp_path / "old.pt"))
    np.savez(tmp_path / "evil.npz", w=np.array([Evil(target)], dtype=object))
    with pytest.raises(UsageError, match=r"no \.npz archive of plain arrays"):
        read_weights(str(tmp_path / "evil.npz"))
    assert not target.exists()


def test_a_whole_pickled_model_is_refused_with_the_cure(tmp_path: Path) -> None:
    torch.save(tiny_model(), tmp_path / "model.pt")
    with pytest.raises(UsageError, match=r"save_file\(model\.state_dict\(\)"):
        read_weights(str(tmp_path / "model.pt"))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("junk", [b"junk" * 100, b"PK\x03\x04 no zip", b"\x80\x02junk", b"<html>"])
def test_what_never_was_a_weights_file_is_refused_without_unsafe_advice(
    tmp_path: Path, suffix: str, junk: bytes
) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(junk)
    with pytest.raises(UsageError, match=path.name) as caught:
        read_weights(str(path))
    assert "allow_pickle" not in str(caught.value)
    assert "safe_globals" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str, keep: int) -> None:
    path = Path(save_weights(tmp_path / f"w{suffix}", STATE))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match=path.name):
        read_weights(str(path))


def test_other_contents_are_named(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(2), "epoch": 3}, tmp_path / "mixed.pt")
    with pytest.raises(UsageError, match="more than tensors: epoch"):
        read_weights(str(tmp_path / "mixed.pt"))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UsageError, match="holds list"):
        read_weights(str(tmp_path / "list.pt"))


def test_other_extensions_are_refused_unread() -> None:
    with pytest.raises(UsageError, match=r"end in '\.h5'; expected \.safetensors"):
        read_weights("/nowhere/model.h5")


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_weights(str(tmp_path / "none.safetensors"))


def test_file_name_drops_a_query() -> None:
    assert file_name("https://host/a/w.safetensors?download=true") == "w.safetensors"
    assert file_name("s3://bucket/a/w.pth") == "w.pth"
    assert file_name("dir/w?.npz") == "w?.npz"

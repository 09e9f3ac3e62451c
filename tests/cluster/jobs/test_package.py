"""What goes along is small, and holds neither data nor anything secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.code_fingerprint import PACKAGES, code_fingerprint
from cluster.jobs.package import MAX_BYTES, MAX_FILE_BYTES, package
from shards.errors import UsageError


def test_nothing_goes_along_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    with package() as packed:
        assert packed.runtime_env == {}
    with package(ship_code=True) as packed:
        assert packed.runtime_env.keys() == {"py_modules"}


def test_a_working_directory_without_data_hidden_files_and_links(tmp_path: Path) -> None:
    for name in ("a.yaml", "sub/list.txt", ".env", ".git/config", "pool/x.tar", "w.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (tmp_path / "big.txt").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    with package(working_dir=str(tmp_path)) as packed:
        work = Path(packed.runtime_env["working_dir"])
        found = sorted(str(p.relative_to(work)) for p in work.rglob("*") if p.is_file())
        assert found == ["a.yaml", "sub/list.txt"]
        assert packed.left_out == ("big.txt", "pool/x.tar", "w.safetensors")
        assert packed.num_bytes == 2
    assert not work.exists()


def test_too_much_is_refused_with_the_largest_named(tmp_path: Path) -> None:
    for number in range(MAX_BYTES // MAX_FILE_BYTES + 1):
        with (tmp_path / f"{number}.txt").open("wb") as file:
            file.truncate(MAX_FILE_BYTES)
    with (
        pytest.raises(UsageError, match=r"more than 20 MB.*\.txt"),
        package(working_dir=str(tmp_path)),
    ):
        pass
    with pytest.raises(UsageError, match="no folder"), package(working_dir=str(tmp_path / "0.txt")):
        pass


def test_shipped_code_is_this_code() -> None:
    with package(ship_code=True) as packed:
        folders = [Path(folder) for folder in packed.runtime_env["py_modules"]]
        assert [folder.name for folder in folders] == list(PACKAGES)
        assert packed.num_bytes < 4 << 20
        program = "from cluster.code_fingerprint import code_fingerprint as f; print(f())"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folders[0].parent,
            env=os.environ | {"PYTHONPATH": str(folders[0].parent)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == code_fingerprint()

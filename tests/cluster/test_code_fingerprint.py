"""The same files give the same hash; any edit of any package another; compiled files none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.code_fingerprint import PACKAGES, code_fingerprint, package_folder, source_files


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    # Below a hidden folder: where an environment lies is no property of the code.
    for package in PACKAGES:
        folder = package_folder(package)
        for path in source_files(folder):
            target = tmp_path / ".env" / package / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return tmp_path / ".env"


def fingerprint_of(folder: Path) -> str:
    program = "from cluster.code_fingerprint import code_fingerprint as f; print(f())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env={"PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_copy_has_the_same_and_an_edit_another(copy: Path) -> None:
    assert fingerprint_of(copy) == code_fingerprint()
    (copy / "cluster" / "__pycache__").mkdir(exist_ok=True)
    (copy / "cluster" / "__pycache__" / "x.py").write_text("1")
    (copy / "cluster" / ".#main.py").write_text("1")
    assert fingerprint_of(copy) == code_fingerprint()
    page = next((copy / "selector").rglob("*.css"))
    page.write_bytes(page.read_bytes() + b"\n")
    assert fingerprint_of(copy) != code_fingerprint()


def test_moving_a_file_changes_it(copy: Path) -> None:
    (copy / "shards" / "errors.py").rename(copy / "shards" / "errors2.py")
    shutil.copy(copy / "shards" / "errors2.py", copy / "shards" / "errors.py")
    assert fingerprint_of(copy) != code_fingerprint()

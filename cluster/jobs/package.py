"""What goes along with a job: a small working directory, or the source of coursepack; never data.

Ray uploads it to the head node and copies it to every node that takes part, before anything runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.code_fingerprint import PACKAGES, package_folder, source_files
from shards.errors import UsageError

MAX_BYTES = 20 << 20
MAX_FILE_BYTES = 5 << 20

DATA_SUFFIXES = frozenset({
    ".tar", ".tgz", ".gz", ".zip", ".parquet", ".arrow", ".npy", ".npz", ".pt", ".pth", ".pt2",
    ".onnx", ".safetensors", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif",
    ".ppm", ".pem", ".key",
})  # fmt: skip
"""Left out by name: data, weights and keys belong on storage, not in a package that Ray keeps."""


@dataclass(frozen=True)
class Package:
    """What Ray is told to bring along.

    Attributes:
        runtime_env: For Ray: paths of folders to upload. No environment variables, ever: whoever
            may look at the job sees them.
        num_bytes: Size of all files that go along.
        left_out: Files of the working directory that stay here, relative to it.
    """

    runtime_env: dict[str, Any]
    num_bytes: int = 0
    left_out: tuple[str, ...] = ()


@contextmanager
def package(*, working_dir: str | None = None, ship_code: bool = False) -> Iterator[Package]:
    """Gather what goes along with a job; the folders are there within the block.

    Args:
        working_dir: A folder whose small text files the job finds in its current directory.
        ship_code: Bring the four packages of coursepack as they are here, for a cluster that does
            not have it, or has another version.

    Raises:
        UsageError: the folder is none, or holds too much.
    """
    with TemporaryDirectory(prefix="coursepack-job-") as name:
        staging, size = Path(name), 0
        runtime_env: dict[str, Any] = {}
        left_out: list[str] = []
        if working_dir is not None:
            folder = Path(working_dir).expanduser().absolute()
            size += _stage_folder(folder, staging / "work", left_out)
            runtime_env["working_dir"] = str(staging / "work")
        if ship_code:
            runtime_env["py_modules"] = [str(staging / "code" / one) for one in PACKAGES]
            size += sum(_stage_package(one, staging / "code" / one) for one in PACKAGES)
        yield Package(runtime_env, size, tuple(left_out))


def _stage_folder(folder: Path, target: Path, left_out: list[str]) -> int:
    if not folder.is_dir():
        raise UsageError(f"--working-dir {folder} is no folder")
    chosen: dict[Path, int] = {}
    for path in sorted(_walk(folder)):
        size = path.stat().st_size
        if path.suffix.lower() in DATA_SUFFIXES or size > MAX_FILE_BYTES:
            left_out.append(str(path.relative_to(folder)))
        else:
            chosen[path] = size
        if sum(chosen.values()) > MAX_BYTES:
            largest = sorted(chosen, key=lambda path: -chosen[path])[:3]
            raise UsageError(
                f"--working-dir {folder} holds more than {MAX_BYTES >> 20} MB beside data, such as "
                f"{', '.join(str(path.relative_to(folder)) for path in largest)}; give a folder "
                "with the configs alone"
            )
    target.mkdir(parents=True)
    for path in chosen:
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return sum(chosen.values())


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder; hidden ones (.git, .venv, .env) and links out of it are not entered."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.is_symlink() or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _stage_package(name: str, target: Path) -> int:
    folder, size = package_folder(name), 0
    for path in [*source_files(folder), folder / "py.typed"]:
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        size += path.stat().st_size
    return size

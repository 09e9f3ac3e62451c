"""One hash over coursepack's own source files: two machines with the same one run the same code.

A version number does not tell: a clone that was edited, or a node whose image is a day older, has
the same one.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("shards", "selector", "distiller", "cluster")
_SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".yaml"})


@cache
def code_fingerprint() -> str:
    """sha256 over names and bytes of every source file of the four packages, as hex.

    Taken once per process, so that an edit during a run does not look like two versions.
    """
    digest = hashlib.sha256()
    for package in PACKAGES:
        folder = package_folder(package)
        for path in source_files(folder):
            content = path.read_bytes()
            digest.update(f"{package}/{path.relative_to(folder)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def package_folder(package: str) -> Path:
    """Where the installed package lies."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def source_files(folder: Path) -> list[Path]:
    """Files that belong to the code, sorted; compiled ones and editors' leftovers do not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _SUFFIXES
        and path.is_file()
        and not any(
            part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts
        )
    )

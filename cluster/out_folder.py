"""Is the place that --out names one that a verb can write to? Told before any work begins."""

from __future__ import annotations

from collections.abc import Sequence

from shards import storage
from shards.errors import UsageError


def refuse_no_folder(out: str) -> None:
    """Return if `out` is a folder, or nothing yet, in a place that can be written at all.

    Raises:
        UsageError: a file, or a web address.
    """
    if storage.scheme(out) in ("http", "https"):
        raise UsageError(f"--out {out}: http(s) is read only; give a path, s3:// or gs://")
    if storage.is_local(out) and storage.exists(out) and not storage.is_dir(out):
        raise UsageError(f"--out {out} is a file; give a new or empty folder")


def refuse_file(out: str, *, suffix: str, beside: Sequence[str] = (), overwrite: bool) -> None:
    """Return if `out` names a file that may be written, and those beside it may be too.

    Args:
        suffix: that the name must end in.
        beside: names of further files, of which `overwrite` decides as well.
        overwrite: files that are there may be replaced.

    Raises:
        UsageError: another suffix, a web address, a folder, or a file that is there already.
    """
    if storage.scheme(out) in ("http", "https"):
        raise UsageError(f"--out {out}: http(s) is read only; give a path, s3:// or gs://")
    if not out.endswith(suffix):
        raise UsageError(f"--out {out}: expected the name of a file that ends in {suffix}")
    for uri in (out, *beside):
        if not storage.exists(uri):
            continue
        if storage.is_dir(uri):
            raise UsageError(f"--out {out}: {uri} is a folder; give the name of a new file")
        if not overwrite:
            raise UsageError(
                f"--out {out}: {uri} is there already; give another name, or --overwrite"
            )


def refuse_job_folder(out: str) -> None:
    """Return unless `out` lies in the copy of a working directory that Ray made for a job.

    Raises:
        UsageError: it does, and would be deleted with that copy.
    """
    if "/runtime_resources/working_dir_files/" in storage.normalize(out):
        raise UsageError(
            f"{out} lies in the copy of the working directory that Ray made for this job and "
            "deletes after it; give an absolute path or URI on shared storage"
        )

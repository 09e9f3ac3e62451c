"""Is the place that --out names one that a verb can write to? Told before any work begins."""

from __future__ import annotations

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

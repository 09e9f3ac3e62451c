"""Every worker runs the driver's code, or none: parts made by two versions would look alike."""

from __future__ import annotations

from cluster.code_fingerprint import code_fingerprint, package_folder
from shards.errors import UsageError


def check_code(expected: str, *, node: str) -> None:
    """Compare this process's sources with the driver's.

    Raises:
        UsageError: they differ.
    """
    found = code_fingerprint()
    if found != expected:
        raise UsageError(
            f"the coursepack code on {node} ({found[:12]}, {package_folder('cluster').parent}) is "
            f"not the driver's ({expected[:12]}): install the same version on every node, or "
            "submit the job with a working_dir that holds it; if a source file was edited while "
            "the run went on, start the same command again"
        )

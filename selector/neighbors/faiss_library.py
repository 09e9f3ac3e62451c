"""FAISS, imported late: what needs it says how to install it, everything else runs without."""

from __future__ import annotations

from typing import Any

from shards.errors import UsageError


def load_faiss() -> Any:
    """The `faiss` module.

    Raises:
        UsageError: it is not installed; names the two extras that bring it.
    """
    try:
        import faiss
    except ImportError as error:
        raise UsageError(
            "neighbours, semantic and perceptual duplicates and clusters need FAISS, which is not "
            "installed; add one of the two: pip install 'coursepack[cpu]', or on Linux with an "
            "NVIDIA GPU pip install 'coursepack[gpu]'"
        ) from error
    return faiss


def num_gpus() -> int:
    """CUDA devices that FAISS can use; 0 with the CPU build."""
    faiss = load_faiss()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0

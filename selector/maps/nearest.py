"""The nearest neighbours of every point, exactly: by FAISS where it is installed, else sklearn."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def backend() -> str:
    """What `nearest` uses here: "faiss" or "sklearn"."""
    return "faiss" if find_spec("faiss") else "sklearn"


def nearest(points_ND: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """Indices (N, k) and distances (N, k) of the k nearest other points, nearest first.

    N^2 D multiplications: about half a minute of one core for 100,000 points of 50 dimensions.

    Args:
        points_ND: (N, D) finite.
        k: 1 <= k < N.
    """
    if not 1 <= k < len(points_ND):
        raise ValueError(f"k = {k} neighbours of {len(points_ND)} points")
    search = _by_faiss if backend() == "faiss" else _by_sklearn
    indices, squared = search(points_ND, k + 1)
    # A point is its own nearest neighbour, but among equal points any may come first, and with
    # enough of them it is not in the list at all.
    own = indices == np.arange(len(points_ND))[:, None]
    own[~own.any(axis=1), -1] = True
    others = ~own
    return (
        indices[others].reshape(-1, k),
        np.sqrt(np.maximum(squared[others].reshape(-1, k), 0)),
    )


def _by_faiss(points_ND: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    from selector.neighbors.faiss_library import load_faiss

    faiss = load_faiss()
    index = faiss.IndexFlatL2(points_ND.shape[1])
    index.add(np.ascontiguousarray(points_ND))
    squared, indices = index.search(np.ascontiguousarray(points_ND), k)
    return indices.astype(np.int64), squared


def _by_sklearn(points_ND: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points_ND)
    distances, indices = search.kneighbors(points_ND)
    return indices.astype(np.int64), (distances**2).astype(np.float32)

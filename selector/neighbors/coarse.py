"""k-means by FAISS, seeded; on a GPU where FAISS finds one.

On the CPU it runs in one thread (see `workers`): the same centroids whatever the machine has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.neighbors.faiss_library import load_faiss, num_gpus

Single = npt.NDArray[np.float32]


def train_lists(units_SD: Single, lists: int, *, seed: int, rounds: int = 6) -> Single:
    """Centroids (lists, D) of unit vectors (S, D), S >= lists, of length 1 themselves."""
    faiss = load_faiss()
    means = faiss.Kmeans(
        units_SD.shape[1],
        lists,
        niter=rounds,
        seed=seed,
        spherical=True,
        # The caller has drawn the sample: FAISS shall neither thin it out nor complain of it.
        min_points_per_centroid=1,
        max_points_per_centroid=2**31 - 1,
        gpu=num_gpus() > 0,
    )
    means.train(units_SD)
    centroids: Single = means.centroids
    return centroids

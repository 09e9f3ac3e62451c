"""From vectors to the plane: t-SNE (openTSNE) and UMAP (umap-learn), the same result every time.

Both get exact neighbours in the space of the first 50 principal components of the vectors scaled
to length 1 (so near means a small angle), and start from the first two components: a map of the
same images looks the same again. One thread and a seed make it reproducible on a machine.

Legend: N = images, D = dimensions, K = neighbours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from selector.maps.nearest import nearest
from shards.errors import UsageError

Method = Literal["tsne", "umap"]
METHODS: tuple[str, ...] = get_args(Method)

COMPONENTS = 50
PERPLEXITY = 30
NUM_NEIGHBORS = 15
LEAST_POINTS = 5

_ITERATIONS = (250, 500)  # of t-SNE: exaggerated first, then plain
_TOLD_EVERY = 25
_FFT_FROM = 10_000  # points; below, Barnes-Hut takes less time
_PACKAGES = {"tsne": "openTSNE", "umap": "umap"}

FloatArray = npt.NDArray[np.float32]
OnStep = Callable[[int, int], None]


def check_method(method: str) -> None:
    """Refuse a method before anything is computed.

    Raises:
        UsageError: unknown, or its package is not installed.
    """
    if method not in METHODS:
        raise UsageError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    if not find_spec(_PACKAGES[method]):
        raise UsageError(
            f"a {method} map needs the package {_PACKAGES[method]}, which is not installed: "
            "pip install 'coursepack[map]'"
        )


def settings(method: Method) -> dict[str, Any]:
    """What, besides vectors and seed, makes the coordinates: for the fingerprint of a map."""
    common = {"components": COMPONENTS, "metric": "cosine"}
    if method == "tsne":
        return {**common, "perplexity": PERPLEXITY, "iterations": list(_ITERATIONS)}
    return {**common, "num_neighbors": NUM_NEIGHBORS, "min_dist": 0.1}


def embed(
    vectors_ND: npt.NDArray[np.floating],
    *,
    method: Method,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> FloatArray:
    """Coordinates (N, 2) of vectors, finite.

    Args:
        vectors_ND: (N, D), N >= `LEAST_POINTS`, finite; a zero vector stays one.
        on_step: called with steps done and steps in all; UMAP tells only its end.

    Raises:
        UsageError: unknown method, a package that is missing, too few points.
    """
    check_method(method)
    if len(vectors_ND) < LEAST_POINTS:
        raise UsageError(
            f"a map needs at least {LEAST_POINTS} images with features, found {len(vectors_ND)}"
        )
    points = principal(unit_length(vectors_ND))
    tell = on_step or (lambda done, total: None)
    if method == "tsne":
        return _tsne(points, seed, tell)
    return _umap(points, seed, tell)


def unit_length(vectors_ND: npt.NDArray[np.floating]) -> FloatArray:
    """(N, D) float32 of length 1; zero vectors stay zero."""
    wide = vectors_ND.astype(np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    wide /= np.where(norms > 0, norms, 1)[:, None]
    return wide


def principal(points_ND: FloatArray) -> FloatArray:
    """(N, min(D, N, 50)) float32: the first principal components, signs made definite."""
    from sklearn.decomposition import PCA

    components = min(COMPONENTS, *points_ND.shape)
    fitted = PCA(components, svd_solver="full" if len(points_ND) < 1000 else "covariance_eigh")
    with warnings.catch_warnings():
        # Of points that are all the same no share of their variance can be told; none is asked.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.ascontiguousarray(fitted.fit_transform(points_ND), dtype=np.float32)


def _start(points: FloatArray, scale: float, seed: int) -> npt.NDArray[np.float64]:
    """Two components with standard deviation `scale`; a little noise parts equal points."""
    first = np.zeros((len(points), 2))
    first[:, : min(2, points.shape[1])] = points[:, :2]
    deviation = first[:, 0].std()
    if deviation > 0:
        first *= scale / deviation
    noise = np.random.default_rng(seed).standard_normal(first.shape)
    return first + noise * scale * 0.01


def _tsne(points: FloatArray, seed: int, tell: OnStep) -> FloatArray:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    neighbours, distances = nearest(points, min(3 * PERPLEXITY, len(points) - 1))
    affinities = PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=PrecomputedNeighbors(neighbours, distances.astype(np.float64)),
        n_jobs=1,
    )
    total = sum(_ITERATIONS)
    before = 0

    def told(iteration: int, _: float, __: Any) -> None:
        tell(before + iteration, total)

    embedding = TSNEEmbedding(
        _start(points, 1e-4, seed),
        affinities,
        negative_gradient_method="fft" if len(points) >= _FFT_FROM else "bh",
        n_jobs=1,
        random_state=seed,
        callbacks=told,
        callbacks_every_iters=_TOLD_EVERY,
    )
    embedding = embedding.optimize(_ITERATIONS[0], exaggeration=12, momentum=0.5)
    before = _ITERATIONS[0]
    embedding = embedding.optimize(_ITERATIONS[1], momentum=0.8)
    tell(total, total)
    return np.asarray(embedding, dtype=np.float32)


def _umap(points: FloatArray, seed: int, tell: OnStep) -> FloatArray:
    from umap import UMAP

    k = min(NUM_NEIGHBORS, len(points)) - 1
    neighbours, distances = nearest(points, k)
    own = np.arange(len(points))[:, None]
    # umap-learn counts a point among its own neighbours, at distance 0.
    indices = np.hstack([own, neighbours]).astype(np.int32)
    lengths = np.hstack([np.zeros_like(distances[:, :1]), distances])
    with warnings.catch_warnings():
        # It says that points cannot be added later, and that a seed costs parallel work: so be it.
        warnings.simplefilter("ignore", UserWarning)
        embedding = UMAP(
            n_neighbors=k + 1,
            min_dist=0.1,
            init=_start(points, 1.0, seed).astype(np.float32),
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(indices, lengths),
        ).fit_transform(points)
    tell(1, 1)
    return np.asarray(embedding, dtype=np.float32)

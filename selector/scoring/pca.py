"""Principal components of features: fitted once on a sample, then a fixed linear map.

Features are divided by their standard deviation first: stages differ by orders of magnitude, and
the largest numbers are not those that tell images apart.

Legend: n = images of the sample, S = features, D = components kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from shards import atomic, storage
from shards.errors import StorageError, UsageError

FLOOR = 0.01
"""Smallest deviation, as a share of the root mean square of all."""


@dataclass(frozen=True, eq=False)
class Pca:
    """A fitted basis.

    Attributes:
        mean: (S,) float32.
        components: (D, S) float32, in order of falling variance: orthonormal rows, divided by the
            deviation of each feature. The largest number of each row is positive before that, so
            that equal data give an equal basis.
        variance: (D,) float64, variance along each component.
        total_variance: of all S features, each divided by its deviation.
        rows: n that it was fitted on.
    """

    mean: npt.NDArray[np.float32]
    components: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float64]
    total_variance: float
    rows: int

    @property
    def explained(self) -> float:
        """Share of the variance that is kept, in [0, 1]; 1 where there was none to lose."""
        return float(self.variance.sum() / self.total_variance) if self.total_variance else 1.0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the map: mean and components."""
        return hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()

    def project(self, features_nS: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """(n, S) -> (n, D): components of what differs from the mean, in float32.

        Their lengths are those of the standardised features: to scale each component by its own
        deviation would make the last, which are mostly noise, as loud as the first.
        """
        centred: npt.NDArray[np.float32] = features_nS.astype(np.float32) - self.mean
        return np.matmul(centred, self.components.T, dtype=np.float32)


def fit_pca(features_nS: npt.NDArray[np.floating], dim: int) -> Pca:
    """The `dim` directions of largest variance of standardised features, in float64.

    A deviation below a hundredth of the root mean square of all counts as that: a feature that is
    nearly always the same must not drown the others on the one image where it is not.

    Args:
        features_nS: (n, S) finite, n >= 2.
        dim: D, 1 .. min(n - 1, S).

    Raises:
        UsageError: more components than the sample can tell.
    """
    rows, width = features_nS.shape
    if not 1 <= dim <= min(rows - 1, width):
        raise UsageError(
            f"pca:{dim} of {width} features on a sample of {rows} images: at most "
            f"{max(0, min(rows - 1, width))} components exist; ask for fewer, or for --features "
            "full"
        )
    mean_S = features_nS.mean(axis=0, dtype=np.float64)
    moment_SS = np.zeros((width, width))
    for begin in range(0, rows, 4096):  # a float64 copy of a slice, never of the whole
        centred = features_nS[begin : begin + 4096] - mean_S
        moment_SS += centred.T @ centred
    covariance_SS = moment_SS / (rows - 1)
    spread_S = np.diag(covariance_SS)
    floor = FLOOR * np.sqrt(spread_S.mean())
    deviation_S = np.maximum(np.sqrt(spread_S), floor) if floor else np.ones(width)
    values, vectors = np.linalg.eigh(covariance_SS / np.outer(deviation_S, deviation_S))
    components_DS = vectors[:, ::-1][:, :dim].T
    largest = np.abs(components_DS).argmax(axis=1)
    signs = np.sign(components_DS[np.arange(dim), largest])
    return Pca(
        mean=mean_S.astype(np.float32),
        components=np.ascontiguousarray(
            components_DS * signs[:, None] / deviation_S, dtype=np.float32
        ),
        variance=np.maximum(values[::-1][:dim], 0),
        total_variance=float(np.maximum(values, 0).sum()),
        rows=rows,
    )


def write_pca(uri: str, pca: Pca) -> None:
    """Store a basis as safetensors, whole or not at all."""
    tensors = {
        "mean": pca.mean,
        "components": pca.components,
        "variance": pca.variance,
        "total_variance": np.array([pca.total_variance]),
        "rows": np.array([pca.rows]),
    }
    atomic.write_bytes(uri, safetensors.numpy.save(tensors))


def read_pca(uri: str) -> Pca:
    """The reverse of `write_pca`.

    Raises:
        StorageError: the file cannot be read or is damaged.
    """
    try:
        tensors = safetensors.numpy.load(storage.read_bytes(uri))
        return Pca(
            mean=tensors["mean"],
            components=tensors["components"],
            variance=tensors["variance"],
            total_variance=float(tensors["total_variance"][0]),
            rows=int(tensors["rows"][0]),
        )
    except (safetensors.SafetensorError, KeyError) as error:
        raise StorageError(
            f"{uri} is no basis of principal components ({error}); restore it: the features of "
            "this run were made with it, new ones would not match"
        ) from error

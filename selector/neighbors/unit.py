"""Cosine similarity of stored half-precision vectors, fast for search and exact for decisions.

Search works in float32, where the last bits hang on the order of additions. What decides is
`cosine`, in float64 from the stored numbers: the same value whoever computes it.

Legend: N = rows, D = dimensions, P = pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Half = npt.NDArray[np.float16]

SLACK = 1e-5
"""More than float32 can be off for a cosine of unit vectors of some thousand dimensions."""


def usable(vectors_ND: Half) -> npt.NDArray[np.bool_]:
    """(N,) which vectors have a direction: finite, not all zero."""
    finite = np.isfinite(vectors_ND).all(axis=1)
    return np.asarray(finite & (vectors_ND != 0).any(axis=1))


def unit(vectors_ND: Half) -> npt.NDArray[np.float32]:
    """(N, D) float32 of length 1; every vector must be usable."""
    wide = vectors_ND.astype(np.float32)
    wide /= np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None]
    return wide


def cosine(a_PD: Half, b_PD: Half) -> npt.NDArray[np.float64]:
    """(P,) cosine similarity in [-1, 1] of row p of `a` and row p of `b`.

    Equal vectors have exactly 1: dot and norms are then sums of the same numbers in one order.
    """
    a, b = a_PD.astype(np.float64), b_PD.astype(np.float64)
    dot = (a * b).sum(axis=1)
    norms = (a * a).sum(axis=1) * (b * b).sum(axis=1)
    return np.clip(dot / np.sqrt(norms), -1.0, 1.0)

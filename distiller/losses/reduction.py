"""One idea: how the losses of a batch become one number.

Legend: N = images in the batch.
"""

from __future__ import annotations

from torch import Tensor


def weighted_mean(values_N: Tensor, weights_N: Tensor | None) -> Tensor:
    """Mean over the batch of weight times value: (1 / N) * sum_n w_n * v_n.

    The divisor is N and not sum(w): with weights that average 1 over the whole training set, the
    expectation over batches is then the weighted loss of the set; dividing by the batch's own sum
    would bias it.

    Args:
        values_N: (N,) one loss per image.
        weights_N: (N,) weights >= 0, or None for all ones.

    Raises:
        ValueError: values are not one-dimensional, or weights have another shape.
    """
    if values_N.ndim != 1:
        raise ValueError(f"values have shape {tuple(values_N.shape)}, expected (N,)")
    if weights_N is None:
        return values_N.mean()
    if weights_N.shape != values_N.shape:
        raise ValueError(
            f"weights have shape {tuple(weights_N.shape)}, expected {tuple(values_N.shape)}"
        )
    return (weights_N * values_N).mean()

"""What several views of an image say together: the average of the teacher's probabilities.

The arithmetic mean of probabilities, as in ten-crop evaluation (Krizhevsky et al., NeurIPS 2012,
section 4.1) and ensembles (Lakshminarayanan et al., NeurIPS 2017), and not of logits or
log-probabilities, because of what a selection ranks by. With p_v the prediction on view v of V:

- The mean of probabilities is itself a prediction: that of a teacher who is shown one view at
  random. So DFND's bound holds for it as it stands (Prop. 1: noise value = D_KL(one-hot || p)).
- 1 - p_c is the mean of the views' 1 - p_vc, so a view that doubts the class with 1e-2 leaves at
  least 1e-2 / V. The mean of log-probabilities is a geometric one: views with doubts of 1e-2 and
  1e-8 would come out at 1e-5, the sure one talking the other's doubt away. But an image that looks
  like a class in one crop alone is what several crops are there to find.
- It is no harsher than its views are on average: -log mean_v p_vc <= mean_v -log p_vc (Jensen).

Legend: V views, N images, C classes; all logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def log_mean_probability(logits: Sequence[Tensor]) -> Tensor:
    """log of the mean over views of softmax(z_v), for every class: log p_c.

    log p_c = logsumexp_v(log_softmax(z_v)_c) - log V, in float64 and in log space throughout: no
    probability is formed, so one of 1e-300 keeps its digits. The result serves as logits (they
    are defined up to a constant, and this one is 0), and `scores_from_logits` takes every score
    from the gaps between its classes. With equal views these are the gaps of one view to 1e-15 of
    their size.

    Args:
        logits: V >= 1 tensors (N, C) of any floating dtype, at temperature 1.

    Returns:
        (N, C) float64, <= 0. A row is NaN if some view of it has a NaN, or an infinite largest
        logit.

    Raises:
        ValueError: no view, or views of different shapes.
    """
    if not logits or len({tuple(one.shape) for one in logits}) != 1:
        shapes = [tuple(one.shape) for one in logits]
        raise ValueError(f"views have logits of shapes {shapes}; expected one shape (N, C)")
    log_p_VNC = torch.stack([torch.log_softmax(one.double(), dim=1) for one in logits])
    return torch.logsumexp(log_p_VNC, dim=0) - math.log(len(logits))

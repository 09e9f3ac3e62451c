"""The head of the PU classifier: attention over concatenated stage features, and one logit.

Paper (NeurIPS 2019), section 3.2: with o the pooled outputs of every stage of the teacher, one
behind the other, w = sigmoid(W2 relu(W1 o)), o~ = w * o, F = v . o~ + b. Which stage tells the
domain depends on the task; the attention lets the classifier choose.

The input is standardised with mean and deviation of the pool, stored with the weights. Pooled
activations differ in scale by orders of magnitude between stages and channels: unstandardised, one
learning rate cannot serve them, and the attention would start by following size instead of content.
The pool's statistics and not the positives': these are few, and their offset is the very signal.

Legend: N = images, D = dimensions of the concatenation, H = width of the squeeze, D / 16 in the
paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MIN_DEVIATION = 1e-3
"""A channel that hardly moves over the pool must not be blown up to noise."""


class PUHead(nn.Module):
    """(N, D) stage features -> (N,) raw logits F; above 0 means positive.

    Args:
        dim: D.
        hidden: H.
    """

    mean_D: Tensor
    scale_D: Tensor

    def __init__(self, dim: int, *, hidden: int) -> None:
        super().__init__()
        if dim < 1 or hidden < 1:
            raise ValueError(f"dim {dim}, hidden {hidden}; expected at least 1")
        self.register_buffer("mean_D", torch.zeros(dim))
        self.register_buffer("scale_D", torch.ones(dim))
        self.squeeze = nn.Linear(dim, hidden)
        self.excite = nn.Linear(hidden, dim)
        self.linear = nn.Linear(dim, 1)

    def set_statistics(self, mean_D: Tensor, deviation_D: Tensor) -> None:
        """Mean and standard deviation of the pool's features, each (D,)."""
        self.mean_D.copy_(mean_D)
        self.scale_D.copy_(1 / deviation_D.clamp(min=MIN_DEVIATION))

    def attention(self, features_ND: Tensor) -> Tensor:
        """w (N, D), each in (0, 1): how much of every feature passes."""
        return self._attend(self._standardised(features_ND))

    def forward(self, features_ND: Tensor) -> Tensor:
        x_ND = self._standardised(features_ND)
        return self.linear(self._attend(x_ND) * x_ND).squeeze(1)

    def _standardised(self, features_ND: Tensor) -> Tensor:
        return (features_ND.float() - self.mean_D) * self.scale_D

    def _attend(self, x_ND: Tensor) -> Tensor:
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(x_ND))))


def new_head(dim: int, *, hidden: int, generator: torch.Generator) -> PUHead:
    """A head whose weights follow from the generator alone (He's uniform; biases 0).

    The last layer starts at a hundredth of its usual size, so F starts near 0, where the slope of
    the sigmoid surrogate is greatest.
    """
    head = PUHead(dim, hidden=hidden)
    with torch.no_grad():
        for layer in (head.squeeze, head.excite, head.linear):
            bound = (3 / layer.in_features) ** 0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.zero_()
        head.linear.weight.mul_(0.01)
    return head

"""LeNet-5 and its half, as DAFL and PU Compression use them on MNIST: 1 x 32 x 32 input.

Three 5x5 convolutions (6-16-120 channels) and two linear layers (84, C); ReLU and max-pooling take
the place of the sigmoids and sub-sampling of 1998. `5-half` has half the channels everywhere.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = {"5": (6, 16, 120, 84), "5-half": (3, 8, 60, 42)}


class LeNet(nn.Module):
    """(N, in_channels, 32, 32) normalised floats -> (N, num_classes) logits."""

    def __init__(
        self, widths: tuple[int, int, int, int], *, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, widths[0], 5)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 5)
        self.conv3 = nn.Conv2d(widths[1], widths[2], 5)
        # Without parameters, but with names: the stages of the network end here.
        self.pool1 = nn.MaxPool2d(2)
        self.pool2 = nn.MaxPool2d(2)
        self.relu3 = nn.ReLU()
        self.relu4 = nn.ReLU()
        self.fc1 = nn.Linear(widths[2], widths[3])
        self.fc2 = nn.Linear(widths[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(F.relu(self.conv1(x)))
        x = self.pool2(F.relu(self.conv2(x)))
        x = self.relu3(self.conv3(x)).flatten(1)
        return self.fc2(self.relu4(self.fc1(x)))

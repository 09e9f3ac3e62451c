"""The CIFAR ResNets of He et al. (2016), section 4.2: 6n + 2 layers, 16-32-64 channels.

Shortcuts have no parameters (option A): where the size changes, every second pixel is taken and
the missing channels are zeros. Parameter names are those under which such weights are commonly
published (`layer1.0.conv1.weight`, `linear.weight`).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

DEPTHS = (8, 20, 32, 44, 56)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a parameter-free shortcut."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.added_channels = channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            # Every second pixel: a slice, whose gradient though keeps the channels last.
            x = F.avg_pool2d(x, 1, self.stride)
        if self.added_channels:
            # Half of the new channels before the old ones, half behind: as the weights expect.
            before = self.added_channels // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.added_channels - before))
        return F.relu(residual + x)


class HeResNet(nn.Module):
    """(N, in_channels, 32, 32) normalised floats -> (N, num_classes) logits.

    Other input sizes work too: the last stage is averaged whatever its size.
    """

    def __init__(self, depth: int, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        num_blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(num_blocks, 16, 16, stride=1)
        self.layer2 = _stage(num_blocks, 16, 32, stride=2)
        self.layer3 = _stage(num_blocks, 32, 64, stride=2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def _stage(num_blocks: int, in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, channels, stride=stride)
    rest = [BasicBlock(channels, channels, stride=1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *rest)

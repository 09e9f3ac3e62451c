"""ResNet-18 and -34 for 32 x 32 images: 64-128-256-512 channels behind a 3x3 stem, no max-pool.

The teacher and student of DFND and of most data-free distillation papers on CIFAR. Parameter names
are those of the CIFAR variants in circulation (`shortcut.0.weight`, `linear.weight`), not
torchvision's.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_CHANNELS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; a 1x1 projection on the shortcut where the shape changes."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + self.shortcut(x))


class CifarResNet(nn.Module):
    """(N, in_channels, 32, 32) normalised floats -> (N, num_classes) logits."""

    def __init__(self, depth: int, *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks = BLOCKS[depth]
        self.layer1 = _stage(blocks[0], 64, _CHANNELS[0], stride=1)
        self.layer2 = _stage(blocks[1], _CHANNELS[0], _CHANNELS[1], stride=2)
        self.layer3 = _stage(blocks[2], _CHANNELS[1], _CHANNELS[2], stride=2)
        self.layer4 = _stage(blocks[3], _CHANNELS[2], _CHANNELS[3], stride=2)
        self.linear = nn.Linear(_CHANNELS[3], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean(dim=(2, 3)))


def _stage(num_blocks: int, in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, channels, stride=stride)
    rest = [BasicBlock(channels, channels, stride=1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *rest)

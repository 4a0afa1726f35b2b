"""Networks to be trained here, from images (B, channels, H, W) to features (B, D)."""

from __future__ import annotations

from torch import nn


def small(channels: int, side: int, width: int) -> nn.Sequential:
    """Return a network for images of fewer than 32 pixels a side: four convolutions, then the mean over what is left.

    Three halve the image, to one pixel of 8 px and to 4x4 of 28 px; the last keeps it. They have ``width``, 2, 4 and
    8 x ``width`` channels, so D is 8 x ``width``.
    """
    last = 3 if side > 8 else 1  # on one pixel, eight ninths of a kernel of 3x3 see padding
    widths = [channels, width, 2 * width, 4 * width, 8 * width]
    layers: list[nn.Module] = []
    for before, after, size, stride in zip(widths[:-1], widths[1:], (3, 3, 3, last), (2, 2, 2, 1), strict=True):
        convolution = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet18(channels: int) -> nn.Module:
    """Return ResNet-18 (He et al. 2016) for small images: a first convolution of 3x3, no max-pool; D is 512."""
    from torchvision.models import resnet18 as of_imagenet  # noqa: PLC0415  heavy, only needed here

    network: nn.Module = of_imagenet()
    network.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network


def head(features: int, dims: int) -> nn.Sequential:
    """Return SimCLR's projection head: one hidden layer as wide as the features."""
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, dims))

"""Networks to be trained here, from images (B, channels, H, W) to features (B, D)."""

from __future__ import annotations

from collections import OrderedDict

import torch
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
    """Return ResNet-18 for small images, without a max-pool; D is 512."""
    return resnet(18, channels)


def resnet(depth: int, channels: int, width: int = 64, *, pool: bool = False, large: bool = False) -> nn.Module:
    """Return ResNet-18, 34 or 50 (He et al. 2016) for small images: its first convolution is 3x3 with stride 1.

    Its stages have ``width``, 2, 4 and 8 x ``width`` channels (four times as many behind the bottlenecks of 50), and D
    is the last number. ``pool`` keeps the max-pool behind the first convolution, and ``large`` has the paper's own
    beginning, 7x7 with stride 2 and the max-pool, for images of a hundred pixels and more.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck  # noqa: PLC0415  heavy, only needed here

    kind, numbers = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)), 50: (Bottleneck, (3, 4, 6, 3))}[
        depth
    ]
    size, stride = (7, 2) if large else (3, 1)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False),
        "bn1": nn.BatchNorm2d(width),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, 2, 1) if pool or large else nn.Identity(),
    }
    before = width
    for stage, blocks in enumerate(numbers):
        planes, built = width * 2**stage, list[nn.Module]()
        for block in range(blocks):
            stride, after = 2 if stage and not block else 1, planes * kind.expansion
            shorter = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            built.append(kind(before, planes, stride, shorter if stride > 1 or before != after else None))
            before = after
        layers[f"layer{stage + 1}"] = nn.Sequential(*built)
    return nn.Sequential(OrderedDict(layers, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def wide_resnet(depth: int, k: int, channels: int, slope: float = 0.0) -> nn.Module:
    """Return WRN-``depth``-``k`` (Zagoruyko and Komodakis 2016); ``depth`` is 6 n + 4, and D is 64 x ``k``.

    ``slope`` is that of the rectifiers below 0.
    """
    blocks, before = (depth - 4) // 6, 16
    layers: list[nn.Module] = [nn.Conv2d(channels, before, 3, padding=1, bias=False)]
    for stage in range(3):
        after = 16 * k * 2**stage
        for block in range(blocks):
            layers.append(Wide(before, after, 2 if stage and not block else 1, slope))
            before = after
    rest = nn.BatchNorm2d(before), nn.LeakyReLU(slope, inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, *rest)


class Wide(nn.Module):
    """The block of a wide residual network: normalised and rectified before each of two convolutions."""

    def __init__(self, before: int, after: int, stride: int, slope: float) -> None:
        super().__init__()
        self.begin = nn.Sequential(nn.BatchNorm2d(before), nn.LeakyReLU(slope, inplace=True))
        self.convolutions = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(slope, inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
        )
        same = before == after and stride == 1
        self.shorter = None if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        begun = self.begin(images)
        kept = images if self.shorter is None else self.shorter(begun)
        found: torch.Tensor = kept + self.convolutions(begun)
        return found


def head(features: int, dims: int) -> nn.Sequential:
    """Return SimCLR's projection head: one hidden layer as wide as the features."""
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, dims))

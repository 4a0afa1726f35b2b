"""One training in several processes: each takes a share of every batch, and what they learn is that of the whole batch.

Of a batch all means are taken over all its images, wherever they are: those of batch normalisation, and the loss, which
tells an image from all others. So the number of processes changes how sums are rounded and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Share:
    """The part of each batch that process ``rank`` takes, of so many processes."""

    rank: int = 0
    of: int = 1

    def rows(self, images: int) -> slice:
        """Return which of so many images are ours: one process has at most one more than another."""
        mine = np.array_split(np.arange(images), self.of)[self.rank]
        return slice(int(mine[0]), int(mine[-1]) + 1)

    def whole(self, projections: torch.Tensor, images: int) -> torch.Tensor:
        """Return the two views of all images of the batch (2B, dims) from those of ours (2b, dims)."""
        if self.of == 1:
            return projections
        views = projections.new_zeros((2, images, projections.shape[1]))
        views[:, self.rows(images)] = projections.view(2, -1, projections.shape[1])
        return _summed(views).flatten(0, 1)

    def joined(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return what runs ``module``, whose weights it shares, as one of the processes of the group that is open.

        The gradient of a weight is the mean over the processes of what each finds. Each computes the same loss of the
        whole batch, and `_summed` adds up what all of them ask of a number, so that the mean is the loss's own.
        """
        if self.of == 1:
            return module
        if device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return DistributedDataParallel(module, device_ids=[device])
        _normalise_together(module)
        return DistributedDataParallel(module)


def _normalise_together(module: nn.Module) -> None:
    for name, layer in module.named_children():
        if isinstance(layer, nn.BatchNorm2d):
            setattr(module, name, _Normalised(layer))
        else:
            _normalise_together(layer)


class _Normalised(nn.BatchNorm2d):
    """Batch normalisation over the images of all processes, as torch's `SyncBatchNorm`, which has no code for the CPU.

    Its parameters and statistics are those of the layer that it stands for.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        sums = _summed(torch.cat([values.sum((0, 2, 3)), values.new_tensor([values[:, 0].numel()])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean[:, None, None]
        variance = _summed(centred.square().sum((0, 2, 3))) / count
        statistics: Any = ((self.running_mean, mean), (self.running_var, variance * count / (count - 1)))
        with torch.no_grad():
            for kept, now in statistics:
                kept.lerp_(now, self.momentum)
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]  # it is kept with the statistics
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def _summed(tensor: torch.Tensor) -> torch.Tensor:
    summed: torch.Tensor = _Summed.apply(tensor)
    return summed


class _Summed(torch.autograd.Function):
    """The sum over all processes, the same in each; a gradient is what all of them ask of it."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        summed = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return _summed(gradients[0])

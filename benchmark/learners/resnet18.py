"""ResNet-18 on the images themselves, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..registry import learner
from .networks.scratch import Scratch

if TYPE_CHECKING:
    from torch import nn


@learner("resnet18", cite="He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016")
@dataclass(frozen=True)
class ResNet18(Scratch):
    """ResNet-18 on images, trained from scratch in each round by a published harness's recipe.

    The first convolution is 3x3 with stride 1 (7x7 and a max-pool from 128 pixels a side), the stages have ``width``,
    2, 4 and 8 x ``width`` channels. Every round starts from a copy of the same weights.

    - ``typiclust`` (avihu111/TypiClust@4097a71, its CIFAR-10): a max-pool behind the first convolution, dropout of 0.5
      before the last layer; SGD with Nesterov's momentum 0.9, rate 0.025 as a cosine to 0, decay 3e-4; 200 epochs of
      whole batches of 100, so fewer labels than that are one step of 100 images an epoch; crops of a margin of 4, and
      mirroring. Put right: test and pool are seen as they are (there they are randomly cropped); no validation set is
      taken out, which chose nothing (the "best" weights are the last ones); every data set starts cold. For
      TinyImageNet it has ``optimiser: adam, rate: 0.001, schedule: constant, epochs: 100, augment: resized-flip``.
    - ``deepal-plus`` (SineZHAN/deepALplus@93c2884): the max-pool; Adam, rate 1e-3, no decay; batches of 128; 30 epochs
      with crops and mirroring, for grey images 20 without (``epochs: 20, augment: none`` for SVHN, ``epochs: 40`` for
      CIFAR-100). Its grey images go through torchvision's ResNet-18 with the large beginning, ours through this one.
    - ``realistic-al`` (IML-DKFZ/realistic-al@1a653ae, its CIFAR-10): SGD with Nesterov's momentum 0.9, rate 0.1 as a
      cosine after 10 epochs of warm-up, decay 5e-3 of all but biases and normalisations; 200 epochs of at least 5,500
      images, in six batches of 916 (there of 1,024, the last one smaller); crops out of a mirrored margin, mirroring,
      RandAugment and Cutout. The weights are the last ones: there they are the best on a validation set of five times
      the initial labels, which the budget does not pay for.
    - ``udal`` (dal-toolbox@e9bf05c): SGD with momentum 0.9, rate 0.01 as a cosine after 10 epochs of warm-up, decay
      5e-3; 200 epochs of batches of 32; crops and mirroring.

    In all of them: rates change from epoch to epoch; batches are equal, where the harness does not say what becomes of
    the last; mean and deviation of the channels are those of the pool; images of one channel are not mirrored; the
    network knows the classes that have labels, the others get probability 0. On a CPU it trains on one thread, so that
    an answer does not depend on how many there are.

    ``passes``: hidden units dropped with chance ``p`` (in training too; 0.5 where the recipe has none), or an
    ``ensemble`` of K networks that are trained alike when a rule asks for K passes: that takes K trainings.
    """

    width: int = 64

    def build(self, channels: int, *, pool: bool, large: bool) -> Callable[[], nn.Module]:
        from ...datasets.embeddings.networks.backbones import resnet  # noqa: PLC0415 - torch takes seconds to load

        return partial(resnet, 18, channels, self.width, pool=pool, large=large)

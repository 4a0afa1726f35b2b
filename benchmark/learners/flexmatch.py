"""FlexMatch on the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from ...strategies.kernels.parameters import check
from ..lesson import Sees
from ..registry import learner
from ..types import Lesson
from .networks.scratch import brightness
from .networks.semi import Semi
from .wrn import check_depth

if TYPE_CHECKING:
    from .networks.network import Network

SLOPE = 0.1  # of the rectifiers below 0


@learner(
    "flexmatch",
    cite="Zhang et al., FlexMatch: boosting semi-supervised learning with curriculum pseudo labeling, NeurIPS 2021",
)
@dataclass(frozen=True)
class FlexMatch(Semi):
    """A wide residual network learns from labels, and that strong views of an image are of the class of weak ones.

    FlexMatch: the likeliest class of a weak view, believed from a ``threshold`` that each class has as well as it is
    learned (`heads.thresholds`), is the target of the strong view; the cross-entropies are averaged over all unlabelled
    images of a batch and added to that of the labelled ones.

    The network is WRN-``depth``-``k``: so many layers, 6 n + 4 and at least 10, of ``k`` times 16, 32 and 64 channels.

    Of TorchSSL (its CIFAR-10, TorchSSL@f26e1d4): WRN-28-2 with leaky rectifiers, trained anew in each round; SGD with
    Nesterov's momentum 0.9, rate 0.03 along 7/16 of half a cosine, decay 5e-4 but for biases and normalisations;
    batches of 64 labelled images and 7 times as many unlabelled ones in one pass; 2^20 ``steps``, which are hours on a
    GPU and far too many for a CPU; the weights that count are their mean with 0.999. For CIFAR-100 it has k 8 and decay
    0.001.

    Ours: the unlabelled images are those without a label (there the labelled ones too); a weak view is a mirrored crop
    out of an image with a mirrored margin, a strong one is distorted besides by FixMatch's RandAugment and Cutout
    (`networks.strong`), there by three of another list; images of one channel are not mirrored; the share of the mean
    begins at a tenth and rises, so that a few hundred steps can be told from none; normalisations have torch's
    momentum, where theirs keep 0.999; on a GPU products are in bfloat16.
    """

    k: int = 2
    depth: int = 28

    sees: ClassVar[Sees] = "images"
    reads_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check("flexmatch", self, {"k": 1})
        check_depth(self.depth)

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the penultimate layer."""
        return frozenset({"probabilities", "scores", "hidden", "head"})

    def fit(self, lesson: Lesson) -> Network:
        """Train on the classes that have labels: from ``lesson.weights`` on, with draws from ``lesson.rng``."""
        from ...datasets.embeddings.networks.backbones import wide_resnet  # noqa: PLC0415 - torch takes seconds to load
        from .networks.consistency import SemiTask  # noqa: PLC0415 - likewise

        build = partial(wide_resnet, self.depth, self.k, lesson.view.array.shape[3], SLOPE)
        return SemiTask(build, lesson, **brightness(lesson.view), semi=self).trained()

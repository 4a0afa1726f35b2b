"""FlexMatch on frozen features: a head that must say of a strong view what it says of a weak one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, cycle, repeat
from typing import TYPE_CHECKING

from ...strategies.kernels.parameters import check
from .. import device
from ..registry import learner
from ..types import Lesson
from .heads.labelbench import BATCH, LabelBench

if TYPE_CHECKING:  # seconds to import, for which only those who fit wait
    import torch

    from .heads.semi import Head


@learner(
    "flexmatch-head",
    cite="Zhang et al., FlexMatch: boosting semi-supervised learning with curriculum pseudo labeling, NeurIPS 2021; on "
    "frozen features: LabelBench, Zhang et al., DMLR 2024",
)
@dataclass(frozen=True)
class FlexMatchHead(LabelBench):
    """A head on frozen features learns from labels, and that strong views of an image are of the class of weak ones.

    FlexMatch: the likeliest class of a weak view, believed from a ``threshold`` that each class has as well as it is
    learned (`heads.thresholds`), is the target of the strong view; the cross-entropies are averaged over all unlabelled
    rows of a batch and added to that of the labelled ones. The features of ``views`` weak and as many strong views of
    each image are computed once, and taken in turn, one an epoch of the unlabelled rows.

    Of LabelBench's linear head (EfficientTraining/LabelBench@9e23393, its FlexMatch for CIFAR-10): Adam at 3e-3, decay
    1e-4, batches of 128 labelled rows in a weak view, or all where there are fewer, ``ratio`` 5 times 128 unlabelled
    ones, hard targets, 5 views, no moving average. Ours are a number of ``steps`` that does not depend on that of
    labels (its epochs are passes over the labelled rows: 20 steps in all below 256 labels), a rate that falls to 0 in a
    line, inputs standardised by the whole pool, and that images are mirrored and moved by draws of our own
    (`networks.transforms`). ``width`` is that of a hidden layer; 0 is a linear head.
    """

    views: int = 5

    def __post_init__(self) -> None:
        check("flexmatch-head", self, {"width": 0, "steps": 1, "ratio": 1, "views": 1}, ("threshold",))

    def loss(self, head: Head, lesson: Lesson) -> Callable[[], torch.Tensor]:
        """Return the loss of the next batches: of labelled rows, and, where there are others, of their views."""
        from .heads.semi import supervised  # noqa: PLC0415 - torch takes seconds to load
        from .heads.thresholds import Thresholds  # noqa: PLC0415 - likewise

        labelled, U, batch = supervised(head, lesson), len(lesson.unlabelled), self.ratio * BATCH
        if not U:
            return labelled
        thresholds = Thresholds(U, len(head.present), self.threshold, device.home())
        coming = head.batches(lesson.unlabelled, batch)
        turns = cycle(zip(lesson.weak, lesson.strong, strict=True))
        views = chain.from_iterable(repeat(pair, max(1, U // batch)) for pair in turns)

        def loss() -> torch.Tensor:
            chosen, pair = next(coming), next(views)
            rows = lesson.unlabelled[chosen.numpy()]
            weak, strong = (head.logits(rows, view) for view in pair)
            return labelled(pair[0]) + thresholds.consistency(chosen.to(device.home()), weak, strong)

        return loss

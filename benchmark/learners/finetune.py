"""A network of timm that was trained elsewhere, trained further on the labelled images."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ...datasets.embeddings.timm import Timm
from ...datasets.reading.base import PATH, DataError, Split
from ...strategies.kernels.parameters import check
from ..lesson import Sees
from ..registry import learner
from ..types import Lesson

if TYPE_CHECKING:
    from .networks.finetuning import Recipe
    from .networks.network import Network


@learner("finetune", cite="Wightman, PyTorch Image Models (2019), doi 10.5281/zenodo.4414861")
@dataclass(frozen=True)
class FineTune:
    """A pretrained network of timm by its name there, trained further on the labelled images, anew in each round.

    Images are brought to the network's size by its own transform, where the trial computes; grey ones are repeated to
    three channels. ``weights`` is a local .safetensors or .pth file (on a cluster, there on each node); without it they
    come from the Hugging Face hub. They are read before the run, and their hash is part of a trial's identity. Every
    round begins with a copy of them, and with the same head: weights normal with the variance of torch's uniform ones,
    1 / (3 H), biases 0. ``blocks`` is how many of the last blocks are trained, or ``all``, the stem too.

    - ``labelbench`` (EfficientTraining/LabelBench@9e23393, CIFAR-10 and 100): all blocks; AdamW, rate 3e-5, decay 1e-4,
      20 epochs of whole batches of 400, 500 steps of warm-up and a cosine (with fewer steps than those the rate never
      arrives), label smoothing 0.1, mixup 0.1, gradients cut to a norm of 1. There a head over CLIP begins as its text
      head, half of the official test set stops the training early, and fewer labels than a batch train nothing; here
      they are one batch, and the weights are the last ones.
    - ``refine`` (dal-toolbox@e9bf05c): the last two blocks, rates 1e-5 (the norm behind them too) and 5e-6, head 1e-2;
      decay 5e-4, 100 epochs by a cosine. Batches of 64 and SGD with Nesterov's momentum 0.9 are those of its frozen
      head; of the fine-tuned one we have neither. With more ``blocks`` each earlier one has half the rate of the next.

    Norms keep their pretrained statistics, and dropout is off. Weight decay is on all parameters that are trained. The
    network knows the classes that have labels, the others get probability 0. On a GPU its products are in bfloat16, on
    a CPU it trains on one thread, so that an answer does not depend on how many there are.

    Parameters
    ----------
    model
        The name of the network in timm.
    recipe
        The published training, ``labelbench`` or ``refine``; what is None below is as that says.
    epochs
        Passes over the labelled images.
    batch
        Images of one step, or all that are labelled where those are fewer.
    rate
        The highest learning rate of the last block.
    head_rate
        The highest learning rate of the head; where the recipe says none either, that of the last block.
    decay
        The weight decay.
    warm_up
        Steps in which the learning rates rise.
    """

    model: str
    weights: str | None = field(default=None, metadata=PATH)
    recipe: Literal["labelbench", "refine"] = "labelbench"
    blocks: int | Literal["all"] | None = None
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    head_rate: float | None = None
    decay: float | None = None
    warm_up: int | None = None

    sees: ClassVar[Sees] = "images"
    pretrained: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check("finetune", self, {"epochs": 1, "batch": 1, "decay": 0, "warm_up": 0}, ("rate", "head_rate"))
        if self.blocks != "all":
            check("finetune", self, {"blocks": 1})

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the penultimate layer."""
        return frozenset({"probabilities", "scores", "hidden", "head"})

    def label(self) -> str:
        """Return how tables print it: without the folder of the weights."""
        return f"finetune:{self.model}" + ("" if self.weights is None else f"[{Path(self.weights).name}]")

    def content_hash(self) -> str:
        """Return the hash of the weights and the transform.

        Raises
        ------
        DataError
            When there is no such network or it has not so many blocks, when its weights cannot be had or do not fit.
        """
        from .networks.finetuning import blocks_of, read  # noqa: PLC0415 - torch takes seconds to load

        found = self._encoder.content_hash()
        depth = len(blocks_of(read(self._encoder).module))
        if isinstance(self.blocks, int) and self.blocks > depth:
            raise DataError([f"blocks is {self.blocks}; legal: all, or 1 to {depth} of {self.model}"])
        return found

    def problems(self, split: Split) -> list[str]:
        """Return why it cannot see these images, or nothing."""
        return self._encoder.problems(split)

    def fit(self, lesson: Lesson) -> Network:
        """Train on the classes that have labels; the head begins by ``lesson.weights``, batches by ``lesson.rng``."""
        from .networks.finetuning import FineTuning  # noqa: PLC0415 - as above

        images = lesson.view.array[lesson.rows]
        task = FineTuning(self._encoder, images, lesson.labels, lesson.n_classes, self._recipe())
        return task.trained(lesson.weights, lesson.rng)

    @property
    def _encoder(self) -> Timm:
        return Timm(model=self.model, weights=self.weights)

    def _recipe(self) -> Recipe:
        from .networks.finetuning import RECIPES, Recipe  # noqa: PLC0415 - as above

        known = {field.name for field in fields(Recipe)}
        own = {name: value for name, value in vars(self).items() if name in known and value is not None}
        return replace(RECIPES[self.recipe], **own)

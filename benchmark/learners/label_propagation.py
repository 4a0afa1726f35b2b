"""Label propagation over the graph of a pool's nearest neighbours, and a linear head trained on what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ...strategies.kernels.parameters import check
from ..registry import learner
from ..types import Features, Floats, Labels, Lesson
from .heads import propagation
from .heads.perceptron import Perceptron

BATCH, RATE, DECAY = 128, 1e-2, 1e-4


class Form(NamedTuple):
    """A published form: the graph, how labels spread over it, whether all classes weigh alike in the head's loss."""

    neighbours: int
    end: float  # the squared distance of unit rows at which an affinity, 1 - d² / end, is 0
    gamma: float
    spread: Callable[..., Features]
    alpha: float
    iterations: int
    alike: bool


FORMS = {
    "alfm": Form(500, 4.0, 1.0, propagation.clamped, 0.9, 100, alike=False),
    "simeoni": Form(50, 2.0, 3.0, propagation.diffused, 0.99, 20, alike=True),
}


@learner(
    "label-propagation",
    cite="Zhou et al., Learning with local and global consistency, NeurIPS 2003; Gupte et al., Revisiting active "
    "learning in the era of vision foundation models, TMLR 2024 (alfm); Siméoni et al., Rethinking deep active "
    "learning, ICPR 2020, after Iscen et al., Label propagation for deep semi-supervised learning, CVPR 2019 (simeoni)",
)
@dataclass(frozen=True)
class LabelPropagation:
    """Labels spread over the graph of the whole pool; a linear head learns what they say, weighted by its certainty.

    Reads the inputs of all rows of the pool, and the labels that were bought. Two published forms, on unit rows:

    - ``alfm`` (sanketx/AL-foundation-models@aa015d2): 500 ``neighbours``, affinity (1 - d²/4) ^ ``gamma`` with 1,
      ``alpha`` .9, 100 ``iterations``, labelled rows clamped to their labels.
    - ``simeoni`` (osimeoni/RethinkingDeepActiveLearning@8a0056f): 50 neighbours, affinity cos ^ ``gamma`` with 3,
      ``alpha`` .99, at most 20 ``iterations`` of conjugate gradients, classes weighted by one over their rows.

    What is None is the form's own. A row's certainty is 1 - entropy / log of the number of classes that have labels,
    over the largest; a labelled row keeps its label, with certainty 1. The graph is made once per pool, in
    O(N² D) time and O(N · neighbours) memory; a fit of ``alfm`` is 100 products with N · 500 to N · 1,000 edges.

    Ours is the head, multinomial regression by ``steps`` of Adam on batches of all rows (theirs are a head with dropout
    and batch normalisation, and a convolutional network): it predicts test rows and rows of the pool alike. Siméoni et
    al. draw half of the pseudo-labels by certainty, here all weigh by it. Of ALFM it could not be verified that
    certainty is that of Siméoni et al., that no row neighbours itself, and that the head learns the likeliest class.

    Parameters
    ----------
    form
        The published form, ``alfm`` or ``simeoni``; what is None below is as that says.
    neighbours
        Of each row so many nearest ones are joined to it in the graph.
    gamma
        The power of an affinity, above 0: the larger, the less a far neighbour counts.
    alpha
        The share of a row's answer that comes from its neighbours, above 0 and below 1.
    iterations
        How often labels spread by a step; with ``simeoni`` at most.
    steps
        Steps of Adam on the head.
    """

    form: Literal["alfm", "simeoni"] = "alfm"
    neighbours: int | None = None
    gamma: float | None = None
    alpha: float | None = None
    iterations: int | None = None
    steps: int = 400

    reads_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check("label-propagation", self.settings, {"neighbours": 1, "iterations": 1}, ("gamma", "alpha"))
        check("label-propagation", self, {"steps": 1})
        if not self.settings.alpha < 1:
            raise ValueError(f"label-propagation: alpha is {self.alpha}; it must be below 1")

    @property
    def settings(self) -> Form:
        """The form, with what is said otherwise."""
        said = {name: getattr(self, name) for name in ("neighbours", "gamma", "alpha", "iterations")}
        return FORMS[self.form]._replace(**{name: value for name, value in said.items() if value is not None})

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the standardised embedding."""
        return frozenset({"probabilities", "scores", "hidden", "head"})

    def fit(self, lesson: Lesson) -> Perceptron:
        """Spread the labels and train the head; its weights and batches are drawn from ``lesson.rng``."""
        from .heads.semi import Head, weighted  # noqa: PLC0415 - torch takes seconds to load
        from .heads.training import Recipe  # noqa: PLC0415 - likewise

        head = Head(lesson, Recipe(self.steps, BATCH, RATE, DECAY, p=0.0))
        classes, weights = self.guess(lesson, head.targets)
        rows = np.concatenate([lesson.rows, lesson.unlabelled])
        if self.settings.alike:
            counts = np.bincount(classes[rows])  # of every class at least a labelled row
            weights *= (len(rows) / len(counts) / counts).astype(np.float32)[classes]
        return head.fitted(weighted(head, rows, classes[rows], weights[rows]))

    def guess(self, lesson: Lesson, targets: Labels) -> tuple[Labels, Features]:
        """Return the class in [0, P) of each row of the pool (N,), and how certain it is (N,), in [0, 1].

        ``targets`` (M,) in [0, P) are the classes of the labelled rows.
        """
        form, P = self.settings, int(targets.max()) + 1

        def affinity(far: Floats) -> Floats:
            weights: Floats = np.clip(1 - far**2 / form.end, 0, None) ** form.gamma
            return weights

        S = propagation.graph(lesson.derived, f"{self.form}/{form.gamma}", form.neighbours, affinity)
        spread = form.spread(S, lesson.rows, targets, P, form.alpha, form.iterations)
        classes, certain = spread.argmax(axis=1), propagation.certainty(spread)
        certain /= certain.max(initial=np.finfo(np.float32).tiny)
        classes[lesson.rows], certain[lesson.rows] = targets, 1
        return classes, certain

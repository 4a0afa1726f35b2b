from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Query, Rows
from ..kernels.distances import Positions, blocks, squared_distances, unit_rows
from ..kernels.head.boundaries import ascent, seen
from ..kernels.kmeans import representatives
from ..kernels.scores import fill


@strategy(
    "alfa-mix",
    cite="Parvaneh, Abbasnejad, Teney, Haffari, van den Hengel and Shi, Active Learning by Feature Mixing, CVPR 2022 "
    "(arXiv 2203.07034)",
    version=1,
    needs={"hidden", "head"},
)
@dataclass(frozen=True)
class AlfaMix:
    """A spread of the rows whose prediction changes when they are mixed a little with what is known of some class.

    A row h (H,), what the model's last layer sees, is mixed with an anchor a, the mean of a class's labelled rows (of
    all labelled rows where it has none): h + t (a - h), elementwise t = ε |a - h| / |∇| · ∇ / (a - h), ∇ the gradient
    of its loss under the predicted class, ε = cap / √H (the paper's closed form). The cap is ``cap``, twice that, ...
    until the predictions of more than n rows change, or it is 1. They are clustered by k-means into n clusters, as unit
    rows, and the row nearest each centre is bought. Where too few change, all are, and the rest is drawn.

    That mix is a step of length ε |a - h| along ∇, whatever the direction of a; and along a line the predicted class
    of a linear head ends once. So with s the length where it ends a row's prediction changes from ε = s / max |a - h|
    on, for all anchors and caps at once: O(U (H C + C²)) and k-means. ``cap`` is what the authors' README runs with the
    closed form; their default draws t. Where we differ: they draw the rest with replacement and may buy too few, and
    leave features alone in which a row equals an anchor.
    """

    cap: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.cap <= 1:
            raise ValueError(f"alfa-mix: cap is {self.cap}; it must be above 0 and at most 1")

    def select(self, query: Query) -> Rows:
        found = self.candidates(query)
        found = found[representatives(unit_rows(query.hidden[found]), query.n, query.rng)]
        return query.unlabelled[fill(found, query.n, len(query.unlabelled), query.rng)]

    def candidates(self, query: Query) -> Positions:
        """Return the positions of the rows whose prediction changes, at the first cap where that are more than n."""
        caps = np.append(np.arange(self.cap, 1, self.cap), 1.0)
        least = changes(query) * np.sqrt(query.hidden.shape[1])
        enough = np.array([np.count_nonzero(least < cap) > query.n for cap in caps])
        return np.flatnonzero(least < caps[enough.argmax() if enough.any() else -1])


def changes(query: Query) -> Floats:
    """Return from what ε on each row's prediction changes, (U,); rounded, so that equal rows are at one."""
    (weights, bias), hidden = seen(query.head), query.hidden
    found = np.full(len(hidden), np.inf)
    if len(bias) < 2:
        return found
    anchors = class_means(query)
    middle = weights - weights.mean(axis=1, keepdims=True)  # which changes no difference between classes
    products = middle.T @ middle
    for part in blocks(len(hidden)):
        rows = hidden[part].astype(np.float64)
        logits = rows @ weights + bias
        way = ascent(logits)
        rates = way @ products  # how fast the logits change along the gradient, times its length
        best = logits.argmax(axis=1)[:, None]
        rates -= np.take_along_axis(rates, best, axis=1)
        gaps = logits.max(axis=1, keepdims=True) - logits
        ends = np.divide(gaps, rates, out=np.full_like(gaps, np.inf), where=rates > 0).min(axis=1)
        length = np.sqrt(np.maximum(np.einsum("bp,bp->b", way @ products, way), 0))
        far = np.sqrt(squared_distances(rows - anchors[0], anchors - anchors[0]).max(axis=1))
        np.divide(ends, far, out=ends, where=far > 0)
        np.multiply(ends, length, out=found[part], where=(far > 0) & (length > 0))
    return found.astype(np.float32).astype(np.float64)


def class_means(query: Query) -> Floats:
    """Return the mean hidden row of each class's labelled rows, (C, H), of all of them for a class without any."""
    rows = query.of(query.labelled).hidden.astype(np.float64)
    means = np.tile(rows.mean(axis=0), (query.n_classes, 1))
    for c in np.unique(query.labels):
        means[c] = rows[query.labels == c].mean(axis=0)
    return means

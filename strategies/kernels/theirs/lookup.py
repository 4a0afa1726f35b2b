"""Our model as a classifier in scikit-learn's manner, for other people's code that asks for one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator

from ....benchmark.types import Answers, Floats, Labels, Query, Rows

Answer = Callable[[Any], Any]
"""From inputs to probabilities (b, C), or to those and what the last layer sees, (b, H)."""


class Lookup(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted model as a classifier: it answers by ``answer``. Most have row numbers (b, 1) as inputs.

    Where ``refit`` is given, ``fit`` has it answer after other labels.
    """

    missing_label = np.nan

    def __init__(self, answer: Answer, n_classes: int, refit: Callable[[Rows, Labels], Answer] | None = None) -> None:
        self.answer, self.n_classes, self.refit = answer, n_classes, refit
        self.classes = self.classes_ = np.arange(n_classes)

    def fit(self, X: Rows, y: Floats, sample_weight: None = None) -> Lookup:
        if self.refit is None:
            raise ValueError("this classifier is not to be fitted again")
        there = ~np.isnan(y)
        self.answer = self.refit(_numbers(X)[there], y[there].astype(np.int64))
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.answer(X)

    def predict(self, X: Any) -> Labels:
        said = self.answer(X)
        probs = said[0] if isinstance(said, tuple) else said
        return np.asarray(probs.argmax(axis=1), dtype=np.int64)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Lookup:
        return copy.copy(self)

    def __deepcopy__(self, _: object) -> Lookup:
        return copy.copy(self)  # all that it holds is read only


def classifier(query: Query, _: int, *, hidden: bool = False, name: str = "clf") -> dict[str, Any]:
    """Return the query's model under a name, by row numbers; with ``hidden`` it says what its last layer sees too."""

    def answer(X: Rows) -> Any:
        of = query.of(_numbers(X))
        return (_double(of.probs), _double(of.hidden)) if hidden else _double(of.probs)

    return {"X": _every(query), name: Lookup(answer, query.n_classes), f"fit_{name}": False}


def head(query: Query, _: int) -> dict[str, Any]:
    """Return the query's last layer as a classifier of what it sees, whatever that is made into."""
    W, b = query.head

    def answer(X: Floats) -> Floats:
        probs: Floats = softmax(X @ W.astype(np.float64) + b, axis=1)
        return probs

    hidden = query.of(np.arange(len(query.features))).hidden
    return {"X": _double(hidden), "clf": Lookup(answer, query.n_classes), "fit_clf": False}


def ensemble(query: Query, passes: int) -> dict[str, Any]:
    """Return the draws of the query's model as classifiers of the unlabelled rows, by row numbers."""
    drawn = query.passes(passes)

    def member(of_all: Floats) -> Lookup:
        return Lookup(lambda X: _double(of_all[np.searchsorted(query.unlabelled, _numbers(X))]), query.n_classes)

    return {"X": _every(query), "ensemble": [member(one) for one in drawn], "fit_ensemble": False}


def learner(query: Query, _: int) -> dict[str, Any]:
    """Return the query's model by row numbers; fitted again it is the trial's own learner on other labels."""

    def answer(model: Answers) -> Answer:
        return lambda X: _double(model.of(_numbers(X)).probs)

    def refit(rows: Rows, labels: Labels) -> Answer:
        return answer(query.fit(rows, labels))

    current = answer(query.of(query.unlabelled))
    return {"X": _every(query), "clf": Lookup(current, query.n_classes, refit), "fit_clf": True}


def _every(query: Query) -> Rows:
    return np.arange(len(query.features))[:, None]


def _numbers(X: Rows) -> Rows:
    return np.asarray(X[:, 0], dtype=np.int64)


def _double(array: Any) -> Floats:
    """Return a copy in double precision, which may be written to."""
    return np.array(array, dtype=np.float64)

"""The published numbers that albench carries as data, and which of our settings each published regime corresponds to.

The files lie in ``results/literature``; its README says what their columns mean.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
MARKS = {
    "computed-from-raw": ("R", "computed from the authors' result files of each seed"),
    "notebook-output": ("N", "output of the authors' notebook"),
    "repo-result-csv": ("C", "table of results among the files of the authors' repository"),
    "readme": ("D", "documentation of the authors' repository"),
    "readme-table": ("D", "documentation of the authors' repository"),
    "docs-table": ("D", "documentation of the authors' repository"),
    "figure-bar-label": ("B", "label printed at a bar of a figure"),
    "figure-or-poster-label": ("P", "label printed in a figure, a table's picture or a poster"),
    "secondary-quotation": ("Q", "quoted by somebody else"),
    "third-party-reproduction-csv": ("T", "result file of somebody else's reproduction"),
    "figure-digitised": ("F", "digitised from a figure"),
    "figure-read-by-eye": ("E", "read off a figure by eye"),
}
"""Provenance, without what is said in brackets -> (mark, what it means); the first is the most to be trusted."""
NO_TARGETS = ("T", "F", "E")
"""Marks of numbers with an error of reading, or of somebody else's code: they show a size, and decide nothing."""


class Row(NamedTuple):
    """A published number with its origin; the numbers are NaN where nothing was printed.

    ``number`` counts the rows of ``published.csv`` from 0.
    ``value`` and ``std`` are fractions, points or seconds as ``metric`` has it, with ``digits`` after the point.
    ``strategy`` is the printed name of the rule, ``rule`` its name in albench (where it has none: the printed one in
    small letters).
    """

    number: int
    origin: str
    source: str
    paper: str
    mark: str
    table: str
    regime: str
    setting: str
    seeds: float
    dataset: str
    rule: str
    strategy: str
    labels: float
    budget: str
    metric: str
    value: float
    digits: int
    std: float


@lru_cache(maxsize=1)
def published() -> tuple[Row, ...]:
    """Return every published number, in the order of the file."""
    origins = {origin["origin"]: origin for origin in _table("sources")}
    rows = _table("published")
    digits: dict[tuple[str, str], int] = {}  # a last zero is not written: the most digits of a table are those of all
    for own in rows:
        table = (own["origin"], own["metric"])
        digits[table] = max(digits.get(table, 0), len(own["value"].partition(".")[2]))
    return tuple(
        _row(i, own, origins[own["origin"]], digits[own["origin"], own["metric"]]) for i, own in enumerate(rows)
    )


def _row(number: int, own: Mapping[str, str], origin: Mapping[str, str], digits: int) -> Row:
    return Row(
        number=number,
        **{name: origin[name] for name in ("origin", "source", "paper", "table", "regime", "setting")},
        mark=MARKS[origin["provenance"].partition(" (")[0]][0],
        seeds=_number(origin["seeds"]),
        dataset=own["dataset"],
        rule=own["strategy"] or own["strategy_as_printed"].lower(),
        strategy=own["strategy_as_printed"],
        labels=_number(own["labels"]),
        budget=own["budget_as_printed"],
        metric=own["metric"],
        value=_number(own["value"]),
        digits=digits,
        std=_number(own["std"]),
    )


def legend(marks: Collection[str]) -> tuple[str, ...]:
    """Return one line per mark that is used."""
    return tuple(f"{mark}: {meaning}" for mark, meaning in dict(MARKS.values()).items() if mark in marks)


def plain(dataset: str) -> str:
    """Return a dataset's name or label as it is matched: without parameters, hyphens and underscores.

    ``folder:cifar10-images.zip`` is what it is named after: cifar10.
    """
    name = re.sub(r"\(.*|[-_]", "", dataset).lower()
    return name.removeprefix("folder:").removesuffix(".zip").removesuffix("images")


@dataclass(frozen=True)
class Regime:
    """A row of ``regimes.csv``: what a published regime is in albench's words; ``kind`` is a `lesson.Regime`."""

    source: str
    regime: str
    kind: str
    dataset: str
    setting: str
    data: str
    embedding: str
    learner: str
    first: str
    step: str
    last: str
    metrics: str
    their_data: str
    their_embedding: str
    their_learner: str

    def is_of(self, source: str, regime: str, dataset: str, setting: str) -> bool:
        same = self.source == source and self.regime == regime
        return same and fnmatchcase(dataset, self.dataset) and fnmatchcase(setting, self.setting)

    def metric(self, name: str) -> str:
        """Return the id of our metric that a published one is; the name itself where nothing is said of it."""
        return dict(pair.split("=") for pair in self.metrics.split("|") if pair).get(name, name)

    def differences(self, published: str, regime: str, dataset: str, embedding: str, learner: str) -> list[str]:
        """Say in what a setting of ours differs from this one on the dataset ``published``; empty: in nothing."""
        whole = not set("(:") & set(dataset)  # neither changed nor a folder of who knows which of its images
        same = _fits(dataset, self.data) if self.data else whole and plain(dataset) == plain(published)
        parts = [
            ("regime", regime == self.kind or not (regime and self.kind), regime, self.kind),
            ("data", same, dataset, self.their_data or published),
            ("embedding", _fits(embedding, self.embedding), embedding, self.their_embedding or self.setting),
            ("learner", _fits(learner, self.learner), learner, self.their_learner),
        ]
        return [f"{what} (ours {ours}; theirs {theirs})" for what, fits, ours, theirs in parts if not fits]

    def is_data(self, dataset: str, published: str) -> bool:
        """Say whether a dataset of ours is what they call ``published``, perhaps split or changed in another way."""
        return plain(dataset) == plain(published) or bool(self.data and _fits(dataset, self.data))


@lru_cache(maxsize=512)
def regime_of(source: str, regime: str, dataset: str, setting: str) -> Regime:
    """Return the first row of ``regimes.csv`` that fits; one without a counterpart where none does."""
    found = (row for row in _regimes() if row.is_of(source, regime, dataset, setting))
    return next(found, Regime(source, regime, "", dataset, setting, "", "", "", "", "", "", "", "", "", setting))


@lru_cache(maxsize=1)
def _regimes() -> tuple[Regime, ...]:
    return tuple(Regime(**row) for row in _table("regimes"))


def _table(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _number(text: str) -> float:
    return float(text) if text else nan


def _fits(label: str, patterns: str) -> bool:
    return any(fnmatchcase(label, pattern) for pattern in patterns.split("|"))

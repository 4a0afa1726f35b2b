"""The picks: who buys the same rows, who buys as chance would, which rows come first, which classes are bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .....benchmark.types import Floats
from ....measures.evidence import Evidence
from ....measures.forensics import (
    ALPHA,
    NEAR,
    PLACE,
    RANDOM,
    SAME,
    Chance,
    Place,
    between_seeds,
    class_shares,
    first_rows,
    overlaps,
    places,
    with_random,
)
from ....measures.words import count
from ... import charts
from ...blocks import Block, Figure, stem
from ...look import data_uri
from ...numbers import Numbers

SHOWN = 5
"""So many of the rows that a strategy buys first are named."""
MOST_PICTURED = 20
"""Pictures of more places would make the page heavy."""
MOST_CLASSES = 30
"""A histogram of more classes is not drawn: nobody could read it."""
MEANING = (
    "Rows that strategies chose themselves, in trials that are done: neither initial labels nor a first batch that was"
    " bought as random. They are counted until half of the pool is labelled: in the end all rules buy the same."
    " Jaccard index: rows that both chose over rows that either chose, mean over seeds. Chance: uniform draws from what"
    " is free (hypergeometric), p one-sided. Sharing more rows with random than chance says that a rule uses the same"
    " draws; sharing no more says nothing, as it holds for any other rule. So a rule is also compared with itself on"
    " other seeds: one that prefers some rows comes back to them. Near-random is one that is shown not to: p is above"
    f" {ALPHA}, and the odds that a row bought on one seed is bought on another are below {NEAR} times those of other"
    " rows, by the upper end of a one-sided 95 % interval."
)
NEEDED = "it takes two seeds on the same split, and a full-data bound, which tells the size of the pool"


class _Face(NamedTuple):
    """What a row looks like: its class, and a PNG or JPEG where the dataset has images."""

    class_name: str
    image: bytes | None


@dataclass(frozen=True, eq=False)
class _Look:
    """What there is to say of one place: strategies (K,), their overlaps (K, K) over n (K, K) seeds, and chance."""

    place: Place
    names: tuple[str, ...]
    overlap: Floats
    n: NDArray[np.int64]
    follows: dict[str, Chance]
    repeats: dict[str, Chance | None]

    def overlap_of(self, a: str, b: str) -> float:
        """Return the Jaccard index of two strategies; NaN where one of them is not here."""
        here = a in self.names and b in self.names
        return float(self.overlap[self.names.index(a), self.names.index(b)]) if here else nan

    @property
    def is_tested(self) -> bool:
        """Whether any strategy's picks can be compared between seeds and with chance."""
        return any(repeats is not None and not isnan(repeats.p) for repeats in self.repeats.values())

    def is_near(self, name: str) -> bool:
        """Whether a strategy is shown to come back to rows hardly more than chance explains."""
        repeats = self.repeats.get(name)
        return repeats is not None and repeats.is_near

    def is_open(self, name: str) -> bool:
        """Whether a strategy is neither shown to come back to rows, nor shown not to."""
        repeats = self.repeats.get(name)
        return repeats is not None and not (repeats.is_near or repeats.is_more)


def blocks(evidence: Evidence) -> list[Block]:
    """Return what the picks say by themselves, then the tables of each place (dataset, embedding, learner, budget)."""
    looks = [
        _look(place, evidence.summary.strategies()) for place in places(evidence.finished, evidence.runs.manifests)
    ]
    if not looks:
        return [Block("The picks", "No strategy chose a row in these runs, or they hold no picks (imported curves).")]
    known = {tuple(key[:4]): i for i, key in enumerate(evidence.summary.cells)}
    looks.sort(key=lambda look: known[look.place.names])  # as in the other tables
    shares = class_shares(evidence.finished)
    by_place = {tuple(map(str, names)): of for names, of in shares.groupby(PLACE)}
    faces = {(dataset, row): _Face(*of) for dataset, row, *of in evidence.runs.firsts.itertuples(index=False)}
    tables, pictured = list[Block](), 0
    for look in looks:
        firsts = _firsts(look, faces, pictured < MOST_PICTURED)
        pictured += sum(block.figure is not None for block in firsts)
        tables += [_overlap(look), _chance(look), *firsts]
        if look.place.names in by_place:  # else nobody counted the classes
            tables.append(_classes(look, by_place[look.place.names]))
    return [_summary(looks), *tables]


def _look(place: Place, order: Sequence[str]) -> _Look:
    names = tuple(name for name in order if name in place.trails)
    follows = {name: with_random(place, name) for name in names if name != RANDOM}
    return _Look(place, names, *overlaps(place, names), follows, {name: between_seeds(place, name) for name in names})


def _summary(looks: Sequence[_Look]) -> Block:
    """Name the strategies that buy what random buys, those that buy as chance would, and what cannot be told."""
    names = [name for name in dict.fromkeys(name for look in looks for name in look.names) if name != RANDOM]
    tested, untested = ([look for look in looks if look.is_tested is is_tested] for is_tested in (True, False))
    lines, left_open = list[str](), dict[str, list[_Look]]()
    for name in names:
        if same := [look for look in looks if look.overlap_of(name, RANDOM) >= SAME]:
            lines.append(f"{name} buys what random buys: {_where(same, looks)}")
        if near := [look for look in tested if look.is_near(name)]:
            where = _where(near, looks)
            lines.append(
                f"{name} is near-random, comes back to rows from seed to seed hardly more than chance: {where}"
            )
        if unclear := [look for look in tested if look.is_open(name)]:
            left_open[name] = unclear
    lines += _left_open(left_open, looks)
    if untested and names:
        lines.append(f"Near-random or not could not be tested in {_where(untested, looks)}: {NEEDED}")
    if names and not lines:
        lines.append("No strategy buys what random buys, or as random does.")
    return Block("The picks", MEANING, tuple(lines))


def _left_open(unclear: Mapping[str, Sequence[_Look]], looks: Sequence[_Look]) -> list[str]:
    """Say of which strategies too few rows and seeds are there to tell, in one line."""
    if not unclear:
        return []
    n = sorted({len(look.place.trails[name]) for name, at in unclear.items() for look in at})
    seeds = count(n[0], "seed") if len(n) == 1 else f"{n[0]} to {n[-1]} seeds"
    where = (f"{name} ({len(at)} of {count(len(looks), 'setting')})" for name, at in unclear.items())
    return [f"With {seeds} it cannot be told whether near-random: {', '.join(where)}"]


def _where(at: Sequence[_Look], looks: Sequence[_Look]) -> str:
    return f"{len(at)} of {count(len(looks), 'setting')} ({'; '.join(_title(look.place) for look in at)})"


def _title(place: Place) -> str:
    return "/".join(place.names[:3]) + ", " + place.names[3]


def _numbers(place: Place) -> Numbers:
    return Numbers(**dict(zip(PLACE, place.names, strict=True)))


def _overlap(look: _Look) -> Block:
    usual, numbers, k = int(look.n.max()), _numbers(look.place), range(len(look.names))

    def text(i: int, j: int) -> str:
        pair, m = {"strategy": look.names[i], "versus": look.names[j]}, int(look.n[i, j])
        value = numbers.keep(float(look.overlap[i, j]), "Jaccard index", "share", m, **pair)
        return "-" if isnan(value) else f"{value:.2f}" + ("" if m == usual else f" n={m}")

    name, title = stem("overlap", *look.place.names), f"Who chooses the same rows: {_title(look.place)}"
    return Block(
        title,
        f"Jaccard index of what two strategies chose, mean over n seeds; n={usual} where not said.",
        columns=("strategy", *look.names),
        rows=tuple((look.names[i], *(text(i, j) for j in k)) for i in k),
        level=3,
        name=name,
        numbers=numbers,
        figure=replace(charts.matrix(look.names, look.overlap, title, "Jaccard index"), name=name),
    )


def _chance(look: _Look) -> Block:
    place = look.place
    size = "of a size that no full-data bound tells" if place.size is None else f"of {place.size} rows"
    numbers, rows = _numbers(place), []
    for name in look.names:
        n, most = len(place.trails[name]), max(len(trail.own) for trail in place.trails[name].values())
        own = str(numbers.keep(most, "rows chosen", "rows", n, strategy=name))
        follows = _shared(look.follows.get(name), "with random", name, numbers)
        rows.append((name, str(n), own, *follows, *_shared(look.repeats[name], "between seeds", name, numbers)))
    split = "" if place.one_split else " Seeds may have splits of their own: rows are not compared between them."
    return Block(
        f"Picks and chance: {_title(place)}",
        f"Rows that a pair of trials shares (mean over pairs), and what chance gives in a pool {size}.{split}",
        columns=(
            *("strategy", "n", "rows chosen", "shared with random", "by chance", "p"),
            *("shared between seeds", "by chance", "p"),
        ),
        rows=tuple(rows),
        level=3,
        name=stem("chance", *place.names),
        numbers=numbers,
    )


def _firsts(look: _Look, faces: Mapping[tuple[str, int], _Face], pictured: bool) -> list[Block]:
    """Return the rows that each strategy buys first on most seeds, with their pictures; nothing where none can be."""
    place, title = look.place, f"Bought first: {_title(look.place)}"
    numbers, rows, cells = _numbers(place), [], []
    for name in look.names:
        found = first_rows(place, name, SHOWN)
        known = [(row, seeds, faces.get((place.names[0], row))) for row, seeds in found]
        words = [f"{row}{f': {face.class_name}' if face else ''} ({seeds})" for row, seeds, face in known]
        rows.append((name, str(len(place.trails[name])), *words, *["-"] * (SHOWN - len(words))))
        for i, (row, seeds, face) in enumerate(known, 1):
            class_ = {"class": face.class_name} if face else {}
            n = len(place.trails[name])
            numbers.keep(seeds, "bought first", "seeds", n, strategy=name, place=i, row=row, **class_)
        cells += [
            (name, i, row, face.class_name, seeds, data_uri(face.image))
            for i, (row, seeds, face) in enumerate(known)
            if face and face.image
        ]
    if all(row[2] == "-" for row in rows):
        return []
    columns = ["strategy", "place", "row", "class", "seeds", "url"]
    figure = (
        charts.gallery(pd.DataFrame(cells, columns=columns), f"{title}\nclass (on how many seeds)")
        if cells and pictured
        else None
    )
    text = "The rows that are most often in a strategy's first own batch: row: class (on how many of n seeds)."
    name = stem("first", *place.names)
    return [
        Block(
            title,
            text + (f" Pictures of the first {MOST_PICTURED} such tables only." if cells and not pictured else ""),
            columns=("strategy", "n", *("1st", "2nd", "3rd", "4th", "5th")),
            rows=tuple(rows),
            level=3,
            name=name,
            numbers=numbers,
            figure=figure and replace(figure, name=name),
        )
    ]


def _shared(chance: Chance | None, what: str, strategy: str, numbers: Numbers) -> tuple[str, str, str]:
    if chance is None or not chance.n:
        return ("-", "-", "-")
    keep, n = partial(numbers.keep, strategy=strategy), chance.n
    seen = f"{keep(chance.seen / n, f'shared {what}', 'rows', n):.1f}"
    if isnan(chance.p):
        return (seen, "-", "-")
    expected = f"{keep(chance.expected / n, f'shared {what} by chance', 'rows', n):.1f}"
    p = keep(chance.p, f"p of shared {what}", "share", n)
    return (seen, expected, "<0.001" if p < 0.001 else f"{p:.3f}")


def _classes(look: _Look, shares: pd.DataFrame) -> Block:
    """Return classes seen and balance at the beginning, the middle and the end of the budget; bars of the end."""
    labels = sorted(shares["n_labelled"].unique().tolist())
    n_classes = len(shares["shares"].iloc[0])
    last = shares[shares["n_labelled"] == labels[-1]].set_index("strategy")["shares"]
    columns = (shares[column].tolist() for column in ("strategy", "n_labelled", "seen", "balance", "n"))
    at = {(name, labelled): values for name, labelled, *values in zip(*columns, strict=True)}
    numbers = _numbers(look.place)

    def text(strategy: str, labelled: int) -> str:
        if (strategy, labelled) not in at:
            return "-"
        seen, balance, n = at[strategy, labelled]
        keep = partial(numbers.keep, strategy=strategy, n_labelled=labelled)
        seen_text = f"{keep(seen, 'classes with a label', 'classes', n):.1f}"
        return f"{seen_text}, {keep(balance, 'balance/1', 'share', n):.2f}"

    rows = [(name, *(text(name, n) for n in labels)) for name in look.names]
    name = stem("classes", *look.place.names)
    title = f"Classes bought: {_title(look.place)}"
    return Block(
        title,
        f"Of {n_classes} classes: how many are among the labels so far, then balance/1 of these labels; means over"
        f" {count(shares['n'].max(), 'seed')}, the initial labels included.",
        columns=("strategy", *(f"{n} labels" for n in labels)),
        rows=tuple(rows),
        level=3,
        name=name,
        numbers=numbers,
        figure=replace(_bars(last, look.names, title), name=name) if n_classes <= MOST_CLASSES else None,
    )


def _bars(last: pd.Series[Any], names: Sequence[str], title: str) -> Figure:
    rows = [(name, str(c), share) for name in names if name in last.index for c, share in enumerate(last[name])]
    frame = pd.DataFrame(rows, columns=["strategy", "class", "share of labels"])
    return charts.bars(frame, title, "strategy", "share of labels", "class")

"""A look at the data: an embedding in two dimensions, and what strategies would buy in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from ..datasets.embeddings.cache.images import images
from ..datasets.embeddings.cache.store import embed
from ..datasets.embeddings.cache.views import views
from ..datasets.embeddings.pca import components
from ..datasets.reading.base import Report, silent
from ..datasets.reading.loading import Loaded, load
from ..results.report import class_map
from ..results.report.look import PALETTE, SUFFIXES
from ..strategies.kernels.distances import unit_rows
from . import registry
from .bench import initial_rows
from .grid.grid import inline
from .grid.params import Choice, choose
from .grid.structure import Initial, Purchase, check
from .grid.study import check_encoder, lacking, unmet, unseen
from .lesson import needed_views, sees
from .loop import run_trial, start
from .registry import needs_of, suggestion
from .seeds import generator
from .types import Budget, Features, Floats, Pool, Rows, Segment, Trial, UserError

Projection = Literal["t-sne", "pca"]

SHOWN = 2000
"""At most so many rows are projected and drawn: t-SNE takes seconds for them, and more would hide each other."""
COMPARED = 500
"""So many random rows are what the typicality of picks is compared with."""
NEIGHBOURS = 20


@dataclass(frozen=True, eq=False)
class Asked:
    """What to show, each part said as in a grid: ``name``, ``name:value`` or ``{name: ..., parameter: ...}``."""

    dataset: str
    embedding: str
    strategies: Sequence[str] = ()
    n: str = "1/class"
    learner: str = "linear"
    initial: str = "0"
    seed: int = 0
    projection: Projection = "t-sne"
    out: Path | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What was asked for, understood."""

    dataset: Choice
    embedding: Choice
    learner: Choice
    strategies: tuple[Choice, ...]
    budget: Budget
    seed: int
    projection: Projection
    out: Path


@dataclass(frozen=True, eq=False)
class Picks:
    """The rows that one strategy bought, in order, and who chose them (`Round.bought_by`)."""

    strategy: str
    rows: Rows
    bought_by: str


def show(asked: Asked, report: Report = silent) -> tuple[Path, list[str]]:
    """Write the picture that was asked for; return where it lies, and what the user should know besides.

    The picks are those of a trial of the same parts and seed: its first purchase after the initial labels.

    Raises
    ------
    UserError
        With what is wrong, one line each, before anything is embedded.
    """
    plan = understand(asked)
    loaded = load(plan.dataset.value, plan.seed, report)
    check_encoder(plan.embedding, loaded)
    _check_budget(plan, loaded)
    sees_images = sees(plan.learner.value) == "images"
    reasons = [f"--strategy: {why}" for choice in plan.strategies if (why := unmet(choice, plan.budget, loaded))]
    reasons += [f"--learner: {why}"] if (why := unseen(plan.learner, plan.embedding, loaded)) else []
    if reasons:
        raise UserError("\n".join(reasons))
    embedded = embed(loaded, plan.embedding.value, report=report)
    if sees_images or any("images" in needs_of(strategy.value) for strategy in plan.strategies):
        embedded = replace(embedded, more=images(loaded, report))
    if V := needed_views(plan.learner.value):
        transformed = views(loaded, plan.embedding.value, V, report)
        embedded = replace(embedded, more={**embedded.more, "views": transformed})
    pool = embedded.pool()
    with threadpool_limits(1):  # as in a trial: the order of sums depends on the threads
        picks, labelled = buy(plan, pool, embedded.fingerprint)
        chart = draw(plan, loaded, pool, embedded.fingerprint, picks, labelled)
    class_map.save(chart, plan.out)
    bare = bool(picks) and loaded.split.kind != "images"
    return plan.out, [f"{plan.dataset.part.label} has no images: the picks have no thumbnails"] * bare


def understand(asked: Asked) -> Plan:
    """Return what was asked for, every part of it checked, or raise `UserError` with everything that is wrong."""
    problems: list[str] = []

    def part(kind: registry.Registry, said: str, where: str) -> Choice | None:
        return choose(kind, inline(said, where), where, problems)

    dataset = part(registry.datasets, asked.dataset, "DATASET")
    embedding = part(registry.encoders, asked.embedding, "--embedding")
    learner = part(registry.learners, asked.learner, "--learner")
    strategies = [part(registry.strategies, said, "--strategy") for said in asked.strategies]
    initial = check(Initial, asked.initial, "--initial", problems)
    n = check(Purchase, asked.n, "--n", problems)
    if learner:
        reasons = [lacking(strategy, learner) for strategy in strategies if strategy]
        problems += [f"--strategy: {reason}" for reason in reasons if reason]
    if dataset and embedding:
        names = [re.sub(r"[^\w.+=-]+", "-", choice.part.label).strip("-") for choice in (dataset, embedding)]
        out = asked.out or Path(f"show-{'-'.join(names)}.png")
        problems += _file_problems(out)
    if problems or not (dataset and embedding and learner):
        raise UserError("\n".join(problems))
    budget = Budget("show", initial, (Segment(n, 1),))
    chosen = {choice.part.label: choice for choice in strategies if choice}
    return Plan(dataset, embedding, learner, tuple(chosen.values()), budget, asked.seed, asked.projection, out)


def _file_problems(out: Path) -> list[str]:
    if out.suffix.lower() not in SUFFIXES:
        return [f"--out {out}: unknown suffix {out.suffix!r}{suggestion(out.suffix, SUFFIXES)}"]
    return [] if out.parent.is_dir() else [f"--out {out}: there is no folder {out.parent}"]


def _check_budget(plan: Plan, loaded: Loaded) -> None:
    n_classes, size = len(loaded.split.class_names), len(loaded.split.train)
    initial, n = (count.resolve(n_classes) for count in (plan.budget.initial, plan.budget.segments[0].query))
    if initial + n > size:
        asked = f"{n} labels" + (f" after {initial} initial ones" if initial else "")
        raise UserError(f"--n: asks for {asked}; the pool of {loaded.label!r} holds {size}")


def buy(plan: Plan, pool: Pool, fingerprint: str) -> tuple[list[Picks], Rows]:
    """Let each strategy make its first purchase; return what they bought, and the initial labels of them all."""
    found, labelled, begin = list[Picks](), np.empty(0, np.int64), None
    for strategy in plan.strategies:
        trial = Trial(
            dataset=plan.dataset.part,
            embedding=plan.embedding.part,
            learner=plan.learner.part,
            strategy=strategy.part,
            budget=plan.budget,
            seed=plan.seed,
            fingerprint=fingerprint,
        )
        if not found:
            labelled, begin = initial_rows(trial, pool), start(trial, pool, plan.learner.value)
        *_, last = run_trial(trial, pool, strategy.value, plan.learner.value, begin=begin)
        found.append(Picks(strategy.part.label, last.selected, last.bought_by))
    return found, labelled


def draw(
    plan: Plan, loaded: Loaded, pool: Pool, fingerprint: str, picks: Sequence[Picks], labelled: Rows
) -> class_map.Chart:
    """Return the chart: the same projection once per strategy, with what it bought."""
    rng = generator("show", fingerprint)
    rows = shown(len(pool), [each.rows for each in picks], labelled, rng)
    points = project(pool.features[rows], plan.projection, rng)
    ranks = typicality_ranks(pool.features, [each.rows for each in picks], rng)
    panels = [_panel(each, rank, loaded, pool, rows) for each, rank in zip(picks, ranks, strict=True)]
    return class_map.class_map(
        f"{plan.dataset.part.label}, seen through {plan.embedding.part.label}",
        _caption(plan, loaded, pool, len(rows)),
        points,
        pool.labels[rows],
        pool.class_names,
        panels,
        np.searchsorted(rows, labelled[np.isin(labelled, rows)]),
    )


def _panel(picks: Picks, rank: float, loaded: Loaded, pool: Pool, rows: Rows) -> class_map.Bought:
    """Say what a strategy bought: of the picks, those that are among the rows drawn (almost always all)."""
    hit = len(np.unique(pool.labels[picks.rows]))
    chance = "; bought as random does: no labels yet" if picks.bought_by == "random" else ""
    notes = [
        f"{hit} of {pool.n_classes} classes{chance}",
        f"more typical than {rank:.0%} of the pool, on average (random: 50%)",
    ]
    drawn = picks.rows[np.isin(picks.rows, rows)]
    images = loaded.split.train[drawn[: class_map.MOST]] if loaded.split.kind == "images" else ()
    return class_map.Bought(picks.strategy, notes, np.searchsorted(rows, drawn), tuple(images))


def shown(size: int, picks: Sequence[Rows], labelled: Rows, rng: np.random.Generator) -> Rows:
    """Return at most `SHOWN` rows, ascending: picks in order of purchase, initial labels, then random ones."""
    by_turn = np.stack(picks, axis=1).ravel() if picks else np.empty(0, np.int64)
    candidates = np.concatenate([by_turn, labelled, rng.permutation(size)])
    _, first = np.unique(candidates, return_index=True)
    return np.sort(candidates[np.sort(first)[:SHOWN]])


def project(features: Features, how: Projection, rng: np.random.Generator) -> Floats:
    """Return features (R, D) in two dimensions (R, 2).

    ``pca``: the first two principal components. ``t-sne``: van der Maaten and Hinton (JMLR 2008) as scikit-learn has
    it, from those two components, with perplexity 30 (less where there are fewer than 90 rows).
    """
    from sklearn.manifold import TSNE  # noqa: PLC0415  a second to import, only needed here

    centred = features - features.mean(axis=0, dtype=np.float64)
    directions, _ = components(centred, 2, rng)
    plane = np.zeros((len(features), 2))
    plane[:, : len(directions)] = centred @ directions.T
    if how == "pca" or not plane.any():
        return plane
    begin = (plane / plane[:, 0].std() * 1e-4).astype(np.float32)  # the scale that scikit-learn starts from
    perplexity = min(30, len(features) / 3)
    tsne = TSNE(perplexity=perplexity, init=begin, n_jobs=1, random_state=int(rng.integers(2**32)))
    with threadpool_limits(1):  # again: scikit-learn's own threads are there only now
        points: Floats = tsne.fit_transform(features).astype(np.float64)
    return points


def typicality_ranks(features: Features, groups: Sequence[Rows], rng: np.random.Generator) -> list[float]:
    """Return the share of the pool (N, D) that is less typical than a group's rows, on average; 0.5 is random's.

    Typicality is that of Hacohen et al. (2022), equation 1: 1 / (mean distance to the 20 nearest rows), on unit rows.
    The pool is represented by `COMPARED` random rows; equals count half.
    """
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  a second to import, only needed here

    units = unit_rows(features)
    k = min(NEIGHBOURS, len(units) - 1) + 1  # each row is among its own neighbours, at distance 0
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(units)

    def distance(rows: Rows) -> Floats:
        mean: Floats = search.kneighbors(units[rows])[0].mean(axis=1)
        return mean

    if not groups:
        return []
    pool = np.sort(distance(rng.permutation(len(units))[:COMPARED]))
    found = [distance(rows) for rows in groups]
    nearer = [(np.searchsorted(pool, d, "left") + np.searchsorted(pool, d, "right")) / 2 for d in found]
    return [float(1 - each.mean() / len(pool)) for each in nearer]


def _caption(plan: Plan, loaded: Loaded, pool: Pool, n_shown: int) -> list[str]:
    size, dims = pool.features.shape
    name = {"t-sne": "t-SNE", "pca": "First two principal components"}[plan.projection]
    share = f"all {size:,} rows" if n_shown == size else f"{n_shown:,} of {size:,} rows (picks, the rest at random)"
    lines = [f"{name} of {share}, {dims:,} features, {pool.n_classes} classes, seed {plan.seed}"]
    if pool.n_classes > len(PALETTE):
        lines.append(f"colours repeat every {len(PALETTE)} classes")
    if plan.strategies:
        initial, n = (count.resolve(pool.n_classes) for count in (plan.budget.initial, plan.budget.segments[0].query))
        have = f"after {initial:,} initial ones (crosses)" if initial else "from none"
        order = "; numbers are the order of purchase" if n <= class_map.NUMBERED else ""
        pictured = (
            f"; the first {class_map.MOST} pictured" if loaded.split.kind == "images" and n > class_map.MOST else ""
        )
        lines.append(f"{n:,} labels bought at once (rings), {have}{order}{pictured}")
    return lines

"""Who ranks where over many settings, who beats whom, and which differences the seeds cannot resolve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from string import ascii_uppercase

import numpy as np

from ....benchmark.seeds import generator
from ....benchmark.types import Floats
from ...measures import ranking
from ...measures.complete import SAME_LABELS, Complete
from ...measures.evidence import Evidence
from ...measures.stats import Interval, detectable, difference_interval, paired_p, seeds_needed
from ...measures.tables import Summary
from ...measures.words import UNSAID, count, interval_text
from .. import charts, diagrams
from ..blocks import Block
from ..numbers import Numbers

MOST_SEEDS = 10_000
P_OVER_BLOCKS = "p over blocks"
_ENDS = ("best", "worst")


def blocks(evidence: Evidence) -> list[Block]:
    """Return the tables over all complete blocks, of each regime apart; a line where there is none."""
    summary = evidence.summary
    regimes = summary.regimes()
    if len(regimes) < 2:
        return _of_regime(summary, Complete.of(summary), "Ranks", {})
    return [
        block
        for regime in regimes
        for block in _of_regime(
            summary, Complete.of(summary, regime), f"Ranks: {regime or UNSAID}", {"regime": regime or UNSAID}
        )
    ]


def _of_regime(summary: Summary, complete: Complete, title: str, about: dict[str, str]) -> list[Block]:
    head = Block(title, text=_scope(summary, complete), items=complete.left_out)
    if not complete.places:
        return [head]
    p = ranking.wilcoxon_holm(complete.means)
    ranks = _ranks(complete, p, Numbers(**about))
    middle = [_iqm(complete, summary.baseline, Numbers(**about)), _profile(complete, Numbers(**about))]
    if not any(len(seeds) > 1 for seeds in complete.seeds):
        return [replace(head, text=f"{head.text} With one seed nothing can be tested within a block."), ranks, *middle]
    pairs = [_wins(complete, Numbers(**about)), _penalties(complete, Numbers(**about))]
    told = [_neighbours(complete, p, Numbers(**about)), _resolvable(complete, Numbers(**about))]
    return [head, ranks, *pairs, *middle, *told]


def _scope(summary: Summary, complete: Complete) -> str:
    if len(summary.rivals()) < 2:
        return "There are no two strategies to compare."
    if not complete.places:
        return (
            "No two strategies are complete in any block (setting and budget): every round of every seed done. Nothing"
            " is ranked, for ranks over holes would be those of another study."
        )
    k, b = len(complete.strategies), len(complete.places)
    return (
        f"{k} strategies on {count(b, 'complete block')} (a setting and budget in which each has done every round of"
        f" every seed), over {_seeds(complete)}. Nothing is imputed: what is incomplete is left out, and listed"
        " here. Blocks are taken as independent; settings that share a dataset are less than that."
        + _overshoots(summary, complete)
    )


def _overshoots(summary: Summary, complete: Complete) -> str:
    """Name the strategies whose rounds are compared with rounds of slightly fewer labels."""
    found: dict[str, None] = {}
    for setting, budget in complete.places:
        cells = [cell for cell in summary.of(setting, budget) if cell.key.strategy in complete.strategies]
        usual = set(summary.labels(setting, budget))
        found |= {cell.key.strategy: None for cell in cells if set(cell.curves.columns) - usual}
    names = ", ".join(found)
    return f" Rounds count as the same where labels differ by at most {SAME_LABELS:.0%}: {names}." if found else ""


def _seeds(complete: Complete) -> str:
    """Return ``10 seeds``, ``2 to 4 seeds``."""
    sizes = sorted({len(seeds) for seeds in complete.seeds})
    return count(sizes[0], "seed") if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} seeds"


def _ranks(complete: Complete, p: Floats, numbers: Numbers) -> Block:
    names, values = complete.strategies, complete.means
    mean = ranking.mean_ranks(values)
    rank = np.array([interval.mean for interval in mean])
    order, places = np.argsort(rank, kind="stable"), ranking.places(rank, p)
    groups = ranking.groups(rank, p)
    budgets = {name: own for name in _budgets(complete) if (own := complete.budget(name))}
    parts = {name: ranking.mean_ranks(values[own]) for name, own in budgets.items()} if len(budgets) > 1 else {}
    best = int(order[0])

    def row(i: int) -> tuple[str, ...]:
        name = {"strategy": names[i]}
        rank_text = interval_text(numbers.keep(mean[i], "rank/1", "rank", **name), 2)
        first, last = (
            numbers.keep(int(at), f"{of} place", "rank", **name) for of, at in zip(_ENDS, places[i], strict=True)
        )
        own = [numbers.keep(g, "group", "letter", **name) for g, group in enumerate(groups, 1) if i in group]
        if i != best:
            numbers.keep(float(p[i, best]), P_OVER_BLOCKS, "share", len(values), **name, versus=names[best])
        by_budget = (
            interval_text(numbers.keep(part[i], "rank/1", "rank", **name, budget=budget), 2)
            for budget, part in parts.items()
        )
        return (names[i], rank_text, f"{first} to {last}", " ".join(map(_letter, own)) or "-", *by_budget)

    columns = [f"rank/1 in {name} ({count(len(budgets[name]), 'block')})" for name in parts]
    named = [[names[i] for i in group] for group in groups]
    figure = diagrams.critical_difference(names, rank, named, f"Mean ranks over {count(len(values), 'block')}")
    return Block(
        "Mean ranks",
        text=_ranks_text(complete, p),
        columns=("strategy", f"rank/1 ({count(len(values), 'block')})", "places", "groups", *columns),
        rows=tuple(row(int(i)) for i in order),
        strong=frozenset((row, 1) for row, i in enumerate(order) if i == best or p[i, best] > ranking.ALPHA),
        level=3,
        numbers=numbers,
        name="ranks",
        figure=replace(figure, name="ranks"),
    )


def _ranks_text(complete: Complete, p: Floats) -> str:
    values = complete.means
    b, k = values.shape
    test = ranking.friedman(values)
    needed = ranking.blocks_needed(k)
    apart = int((p[np.triu_indices(k, 1)] <= ranking.ALPHA).sum())
    return " ".join(
        [
            "rank/1 of the mean aubc/1: 1 is best, equals share their mean; from six blocks on with a 95 % interval.",
            "Friedman test that all rank alike: "
            + ("not possible (it needs 3 strategies and 2 blocks)." if np.isnan(test) else f"p = {test:.2g}."),
            f"Wilcoxon's signed-rank test, Holm over {count(k * (k - 1) // 2, 'pair')}, tells {apart} apart;"
            " letters join those of a group in which it tells none, places are the ranks it leaves open, bold is the"
            " best and what is not told apart from it.",
            *(
                [f"With {count(b, 'block')} it can tell no pair apart, whatever the values: it takes {needed}."]
                if b < needed
                else []
            ),
            f"Nemenyi's critical difference: {ranking.critical_difference(k, b):.2f} ranks.",
        ]
    )


def _budgets(complete: Complete) -> list[str]:
    return list(dict.fromkeys(budget for _, budget in complete.places))


def _letter(group: int) -> str:
    """Return the letter of a group: A of 1, AA of 27."""
    return ascii_uppercase[(group - 1) % 26] * ((group - 1) // 26 + 1)


def _wins(complete: Complete, numbers: Numbers) -> Block:
    names = complete.strategies
    verdicts = np.array([ranking.pairwise(block) for block in complete.values])
    counts = {name: (verdicts == sign).sum(axis=0) for name, sign in (("wins", 1), ("ties", 0), ("losses", -1))}

    def text(i: int, j: int) -> str:
        pair = {"strategy": names[i], "versus": names[j]}
        kept = (numbers.keep(int(n[i, j]), what, "blocks", len(verdicts), **pair) for what, n in counts.items())
        return "/".join(map(str, kept))

    return Block(
        "Wins, ties, losses",
        text=f"In how many of {count(len(verdicts), 'block')} row beats column / cannot be told apart from it / loses:"
        " aubc/1, paired t-test over seeds at 5 % in each block (0 is outside the 95 % interval), not adjusted for the"
        " number of pairs.",
        columns=("strategy", *names),
        rows=_square(names, text),
        level=3,
        name="wins",
        numbers=numbers,
    )


def _penalties(complete: Complete, numbers: Numbers) -> Block:
    names, n = complete.strategies, len(complete.places)
    matrix = ranking.penalty_matrix(complete.curves)
    off = ~np.eye(len(names), dtype=bool)

    def text(i: int, j: int) -> str:
        return f"{numbers.keep(float(matrix[i, j]), 'ppm/1', 'share', n, strategy=names[i], versus=names[j]):.2f}"

    def lost(j: int) -> str:
        mean = float(matrix[off[:, j], j].mean())
        return f"{numbers.keep(mean, 'mean of the column, ppm/1', 'share', n, versus=names[j]):.2f}"

    shown = np.where(off, matrix, np.nan)
    figure = charts.matrix(names, shown, "Pairwise penalty matrix", "share of blocks in which row beats column (ppm/1)")
    return Block(
        "Pairwise penalty matrix",
        text=f"ppm/1: share of {count(n, 'block')} in which row beats column: paired two-sided"
        " t-test over seeds at each round, Holm over the rounds of a pair, each round counting 1/rounds. Read along a"
        " row for wins, down a column for losses (its mean: the lower the better); chance alone gives at most 0.05.",
        columns=("strategy", *names),
        rows=(*_square(names, text), ("mean of the column", *map(lost, range(len(names))))),
        level=3,
        numbers=numbers,
        name="penalties",
        figure=replace(figure, name="penalties"),
    )


def _square(names: Sequence[str], text: Callable[[int, int], str]) -> tuple[tuple[str, ...], ...]:
    k = range(len(names))
    return tuple((names[i], *("" if i == j else text(i, j) for j in k)) for i in k)


def _iqm(complete: Complete, baseline: str, numbers: Numbers) -> Block:
    names = complete.strategies
    base = names.index(baseline) if baseline in names else 0
    found = ranking.iqm_intervals(complete.values, base, generator("report", "iqm/1", *names))
    order = np.argsort([-interval.mean for interval in found.means], kind="stable")
    differences = [_points(interval) for interval in found.differences]

    def row(i: int) -> tuple[str, ...]:
        mean = numbers.keep(found.means[i], "iqm/1", "share", strategy=names[i])
        if i == base:
            return (names[i], str(mean.n), interval_text(mean), "-")
        less = numbers.keep(differences[i], "iqm/1 difference", "points", strategy=names[i], versus=names[base])
        return (names[i], str(mean.n), interval_text(mean), interval_text(less, 1, "+"))

    return Block(
        "Interquartile mean",
        text="iqm/1 of aubc/1: the mean of the middle half of all runs, seeds and blocks alike; 95 % intervals by a"
        f" bootstrap of seeds within blocks, the same seeds for all, so that differences to {names[base]} are paired."
        " Bold: that difference has its whole interval above 0.",
        columns=("strategy", "runs", "iqm/1", f"less {names[base]}, points"),
        rows=tuple(row(int(i)) for i in order),
        strong=frozenset((row, 3) for row, i in enumerate(order) if i != base and differences[i].low > 0),
        level=3,
        name="iqm",
        numbers=numbers,
    )


def _profile(complete: Complete, numbers: Numbers) -> Block:
    title = "Performance profile of aubc/1"
    taus, shares = ranking.profile(complete.values)
    n = sum(len(seeds) for seeds in complete.seeds)
    for name, own in zip(complete.strategies, shares.tolist(), strict=True):
        for tau, share in zip(taus.tolist(), own, strict=True):
            numbers.keep(share, "runs above tau", "share", n, strategy=name, tau=tau)
    figure = replace(charts.profile(complete.strategies, taus, shares, title), name="profile")
    text = "Share of all runs, seeds and blocks alike, with an aubc/1 above τ."
    return Block(title, text=text, level=3, name="profile", figure=figure, numbers=numbers)


def _neighbours(complete: Complete, p: Floats, numbers: Numbers) -> Block:
    """Return a table of the pairs that follow each other in mean rank."""
    names = complete.strategies
    order = np.argsort(ranking.ranks(complete.means).mean(axis=0), kind="stable")
    by_seed, rows, n_apart = complete.by_seed, [], 0
    for i, j in pairwise(order):
        pair = {"strategy": names[i], "versus": names[j]}
        d = by_seed[i] - by_seed[j]
        interval = numbers.keep(difference_interval(100 * d), "aubc/1 difference", "points", **pair)
        difference = f"{interval_text(interval, 2, '+')} n={interval.n}" if interval.n else "-"
        told, needed = "-", "-"
        if len(d) > 1:
            apart = numbers.keep(float(paired_p(d)), "p over seeds", "share", len(d), **pair) <= ranking.ALPHA
            n_apart += apart
            told, needed = "yes" if apart else "no", _needed(d, numbers, **pair)
        p_text = f"{numbers.keep(float(p[i, j]), P_OVER_BLOCKS, 'share', len(complete.places), **pair):.2g}"
        rows.append((f"{names[i]} - {names[j]}", difference, told, needed, p_text))
    return Block(
        "Neighbouring ranks",
        text=f"{n_apart} of {len(rows)} neighbouring mean ranks are told apart on these blocks by the"
        f" {count(by_seed.shape[1], 'seed')} that all blocks share (mean"
        " paired difference of aubc/1 over blocks, in points; t-test at 5 %, not adjusted; a minus where ranks and"
        " means disagree). Seeds needed: for 80 % power, were difference and spread as observed; a guess as good as"
        " these are. The last column asks whether it holds on other blocks like these: Wilcoxon-Holm over blocks.",
        columns=("pair", "difference", "told apart", "seeds needed", "p over blocks"),
        rows=tuple(rows),
        level=3,
        name="neighbours",
        numbers=numbers,
    )


def _resolvable(complete: Complete, numbers: Numbers) -> Block:
    """Return a table of what the seeds of each block can and cannot resolve."""
    rows = []
    for (setting, budget), values in zip(complete.places, complete.values, strict=True):
        order = np.argsort(-values.mean(axis=1), kind="stable")
        d = values[order[:-1]] - values[order[1:]]  # (K - 1, S)
        n = values.shape[1]
        place = {**setting._asdict(), "budget": budget}
        first, second = (complete.strategies[i] for i in order[:2])
        pair = {**place, "strategy": first, "versus": second}
        interval = numbers.keep(difference_interval(100 * d[0]), "aubc/1 difference", "points", **pair)
        lead = f"{first} - {second}: {interval_text(interval, 2, '+')}"
        least, told, needed = "-", "-", "-"
        if n > 1:
            least = f"{numbers.keep(100 * detectable(n) * _usual_sd(values), 'detectable', 'points', n, **place):.2f}"
            n_apart = int((paired_p(d) <= ranking.ALPHA).sum())
            apart = numbers.keep(n_apart, "neighbours told apart", "pairs", n, **place)
            told, needed = f"{apart} of {len(d)}", _needed(d[0], numbers, **pair)
        rows.append((f"{setting}, {budget}", str(n), least, told, lead, needed))
    return Block(
        "What the seeds can resolve",
        text="Least difference of aubc/1, in points, that a paired two-sided t-test at 5 % shows in four cases of five"
        " with these seeds, for a pair of usual spread (root mean square SD of the paired differences of all pairs);"
        " neighbouring ranks that are told apart in the block; the best and the second best, and the seeds needed to"
        " tell them apart.",
        columns=("block", "n", "detectable", "neighbours told apart", "lead", "seeds needed"),
        rows=tuple(rows),
        level=3,
        name="resolvable",
        numbers=numbers,
    )


def _usual_sd(values: Floats) -> float:
    """Return the root mean square SD of the paired differences of all pairs of rows (K, S)."""
    i, j = np.triu_indices(len(values), 1)
    return float(np.sqrt((values[i] - values[j]).var(axis=1, ddof=1).mean()))


def _needed(differences: Floats, numbers: Numbers, **about: str) -> str:
    n = seeds_needed(differences, MOST_SEEDS)
    if n is None:
        return f"more than {MOST_SEEDS:,}"
    return str(numbers.keep(n, "seeds needed", "seeds", len(differences), **about))


def _points(interval: Interval) -> Interval:
    return Interval(100 * interval.mean, 100 * interval.low, 100 * interval.high, interval.n)

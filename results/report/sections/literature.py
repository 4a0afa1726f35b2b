"""The published numbers beside ours: difference and verdict for each, and how far the order of the rules agrees."""

from __future__ import annotations

from collections import Counter
from math import isnan

from ...literature.comparison import GAIN, PART_MEAN, RESOLVED, Beside, Rest, Verdict, compare
from ...literature.orders import Order, orders
from ...literature.published_numbers import legend
from ...measures.evidence import Evidence
from ...measures.stats import sd
from ..blocks import Block
from ..numbers import Number, Numbers


def blocks(evidence: Evidence) -> list[Block]:
    """Return the comparison, the rank correlations, and what else is published for the same datasets."""
    besides, rests = compare(evidence)
    if not besides and not rests:
        names = ", ".join(dict.fromkeys(key.dataset for key in evidence.summary.cells)) or "these runs"
        text = f"No published number is known for {names}. `albench report --literature` prints what was surveyed."
        return [Block("Beside the literature", text=text)]
    agreement = orders(besides)
    return [
        _beside(besides),
        *([_agreement(agreement)] if agreement else []),
        *([_rest(rests)] if rests else []),
    ]


def _beside(besides: list[Beside]) -> Block:
    if not besides:
        text = "Published numbers are known for these datasets, but none of a rule and a budget of these runs."
        return Block("Beside the literature", text=text)
    order = list(Verdict)
    rows = sorted(besides, key=lambda one: (order.index(one.verdict) == len(order) - 1, one.key, one.row.number))
    marks, numbers = {one.row.mark for one in besides}, Numbers()
    papers = {f"{one.row.source}: {one.row.paper}" for one in besides}
    return Block(
        "Beside the literature",
        text=_reading(besides),
        items=(*sorted(papers), *legend(marks)),
        columns=("rule", "ours in", "metric", "ours", "published", "difference", "verdict"),
        rows=tuple(_row(one, numbers) for one in rows),
        name="literature",
        numbers=numbers,
    )


def _reading(besides: list[Beside]) -> str:
    counts = Counter(one.verdict for one in besides)
    compared = [verdict for verdict in Verdict if verdict not in {Verdict.SAME_DATA, Verdict.NOT_COMPARABLE}]
    same = (
        f" {counts[Verdict.SAME_DATA]} are the {Verdict.SAME_DATA}: the imported curves are the published ones (n, mean"
        " and SD are equal, or some of their seeds are here), so that they agree says nothing; no order is compared."
    )
    return (
        f"{sum(counts[verdict] for verdict in compared)} of {len(besides)} are comparable (same regime, dataset,"
        " embedding, learner, rule, budget and metric; other data):"
        f" {', '.join(f'{counts[verdict]} {verdict}' for verdict in compared)}."
        f"{same if counts[Verdict.SAME_DATA] else ''} Mean ± SD over n seeds on both sides (their n is what the"
        " protocol says); difference: ours less theirs, with its 95 % interval by Welch's t, widened by the rounding of"
        " the printed value. Within interval: the interval holds 0, so the two cannot be told apart. Where the true"
        " means are equal, 1 in 20 still differs by chance. Not resolved: it holds 0, but is wider than"
        f" ±{RESOLVED}, or their spread is not printed. Nothing is ranked across regimes."
    )


def _row(one: Beside, numbers: Numbers) -> tuple[str, ...]:
    where = f"{one.key.setting}, {one.key.budget}"
    verdict = str(one.verdict) + (f": {'; '.join(one.why)}" if one.why else "")
    if len(one.along) > 1 and one.verdict != Verdict.NOT_COMPARABLE:
        verdict += f" (at {sum(each == one.verdict for _, each in one.along)} of {len(one.along)} label counts)"
    return (
        *(one.key.strategy, where, one.metric),
        *(_ours(one, numbers), _theirs(one, numbers), _difference(one, numbers)),
        verdict,
    )


def _keep(number: Number, side: str, one: Beside, numbers: Numbers, n: int = 0) -> Number:
    unit = "points" if one.row.metric == GAIN else "share"
    return numbers.keep(
        number, f"{one.metric}: {side}", unit, n, **one.key._asdict(), source=one.row.source, row=one.row.number
    )


def _ours(one: Beside, numbers: Numbers) -> str:
    n = len(one.ours)
    mean = _keep(float(one.ours.mean()), "ours", one, numbers, n)
    spread = f" ± {_keep(sd(one.ours), 'SD of ours', one, numbers, n):.4f}" if n > 1 else ""
    return f"{mean:.4f}{spread}, n={n}"


def _theirs(one: Beside, numbers: Numbers) -> str:
    row = one.row
    n = 0 if isnan(row.seeds) else round(row.seeds)
    value = f"{_keep(row.value, 'published', one, numbers, n):.{row.digits}f}"
    spread = "" if isnan(row.std) else f" ± {_keep(row.std, 'SD of the published', one, numbers, n):.4f}"
    return f"{value}{spread}{f', n={n}' if n else ''} ({row.source}, {row.strategy}, {row.mark})"


def _difference(one: Beside, numbers: Numbers) -> str:
    _keep(one.difference, "difference", one, numbers)
    values = (one.difference.low, one.difference.mean, one.difference.high)
    low, mean, high = (f"{round(value, 4) + 0.0:+.4f}" for value in values)  # + 0.0: no -0.0000
    return mean if isnan(one.difference.low) else f"{mean} [{low}, {high}]"


def _agreement(agreement: list[Order]) -> Block:
    numbers = Numbers()
    return Block(
        "The order of the rules, beside the published order",
        text="Rank correlation of our means with the published ones, by the same metric at the same budget, over the n"
        " rules that both have: 1 is the same order, -1 the reverse. Label counts may differ by 1 % between rules, and"
        " are named where they do. With few rules chance alone gives much: p is that of Kendall's tau-b without any"
        " agreement.",
        columns=("ours in", "published", "metric", "n", "Kendall", "p", "Spearman", "regime"),
        rows=tuple(_order(one, numbers) for one in agreement),
        numbers=numbers,
        level=3,
        name="literature_order",
    )


def _order(one: Order, numbers: Numbers) -> tuple[str, ...]:
    theirs = f"{one.row.source}, {one.row.regime}, {one.row.dataset} ({one.row.mark})"
    metric = f"{one.metric}, {one.row.budget}" if one.metric == PART_MEAN else one.metric
    metric += f" ({', '.join(one.elsewhere)})" if one.elsewhere else ""
    about = {**one.setting._asdict(), "budget": one.budget, "source": one.row.source, "published": one.row.dataset}
    tau = numbers.keep(one.tau, f"{one.metric}: Kendall's tau-b", "correlation", one.n, **about)
    p = numbers.keep(one.p, f"{one.metric}: p of tau-b", "share", one.n, **about)
    rho = numbers.keep(one.rho, f"{one.metric}: Spearman's rho", "correlation", one.n, **about)
    values = (f"{tau:+.2f}", f"{p:.3f}", f"{rho:+.2f}")
    return (
        f"{one.setting}, {one.budget}",
        theirs,
        metric,
        str(one.n),
        *values,
        "same" if one.comparable else "another",
    )


def _rest(rests: list[Rest]) -> Block:
    rows = (
        (rest.dataset, rest.source, rest.regime, str(rest.reasons.total()), _reasons(rest.reasons)) for rest in rests
    )
    return Block(
        "Also published for these datasets",
        text="Rows that stand beside nothing of ours, and why.",
        columns=("dataset", "source", "regime", "rows", "why not"),
        rows=tuple(rows),
        level=3,
        name="literature_rest",
    )


def _reasons(reasons: Counter[str]) -> str:
    return "; ".join(f"{n} {reason}" for reason, n in reasons.most_common())

"""Refine: what its filter keeps, of what each rule is asked, and that the batch is herded from what is left."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.benchmark.registry import needs_of
from albench.benchmark.types import Features, Query, Rows
from albench.strategies.composed.refine import Refine
from albench.strategies.coverage.max_herding import MaxHerding
from albench.strategies.hybrid.galaxy import Galaxy
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

LABELLED = [3, 40, 7]


@dataclass(frozen=True)
class Smallest:
    """Buys the unlabelled rows whose first feature is smallest, and remembers what it was asked."""

    asked: list[tuple[Features, Features, int]] = field(default_factory=list)

    def select(self, query: Query) -> Rows:
        free = query.features[query.unlabelled]
        self.asked.append((query.features[query.labelled], free, query.n))
        return query.unlabelled[np.argsort(free[:, 0])[: query.n]]


def offered(n: int, seed: int = 0, size: int = 80) -> Query:
    return query(cloud(seed, size), n, LABELLED, random_probs(seed, size), seed)


def test_each_rule_sees_the_labelled_rows_and_so_many_others() -> None:
    rule, asked = Smallest(), offered(4)
    Refine(rules=(rule, Random()), depth=3, draws=2, share=0.5, largest=30, then=rule).select(asked)
    assert len(rule.asked) == 3 * 2 + 1
    for labelled, _, n in rule.asked:
        assert np.array_equal(labelled, asked.features[LABELLED])
        assert n == 4
    sizes = [len(free) for _, free, _ in rule.asked]
    assert sizes[:2] == [30, 30]
    assert all(4 <= size <= 8 for size in sizes[2:6])  # half of at most four batches of four
    assert 4 <= sizes[6] <= 16  # all that is left


def test_what_no_rule_buys_is_gone_and_all_that_any_buys_is_kept() -> None:
    first = np.argsort(cloud(2, 80)[:, 0]).tolist()
    wanted = [row for row in first if row not in LABELLED]
    asked = offered(3, seed=2)
    once = Refine(rules=(Smallest(),), draws=2, largest=500)
    left = once.filtered(asked, asked.unlabelled, 500)
    assert left.tolist() == sorted(wanted[:3])
    both = Refine(rules=(Smallest(), Margin()), draws=1).filtered(asked, asked.unlabelled, 500)
    assert both.tolist() == sorted({*wanted[:3], *Margin().select(asked).tolist()})
    few = Refine(rules=(Random(),), draws=30, most=5).filtered(asked, asked.unlabelled, 500)
    assert len(few) == 5
    assert (np.diff(few) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_batch_covers_what_is_left_and_nothing_else(seed: int) -> None:
    asked = offered(4, seed)
    rule = Refine(rules=(Margin(), Random()), depth=0)
    units = asked.features / np.linalg.norm(asked.features, axis=1, keepdims=True)
    similar = np.exp(-(cdist(units, units) ** 2))
    assert rule.select(asked).tolist() == MaxHerding().select(asked).tolist()  # unfiltered: all of the pool
    keep = Refine(rules=(Margin(),), depth=1, draws=1, largest=500)
    left = keep.filtered(asked, asked.unlabelled, 500).tolist()
    targets = [*LABELLED, *left]
    cover, best = similar[targets][:, LABELLED].max(axis=1), list[int]()
    while len(best) < 4:
        gains = {row: np.maximum(similar[targets, row] - cover, 0).sum() for row in left if row not in best}
        best.append(max(gains, key=gains.__getitem__))
        cover = np.maximum(cover, similar[targets, best[-1]])
    assert set(keep.select(asked).tolist()) == set(best) == set(left)


def test_all_that_is_left_can_be_bought() -> None:
    asked = offered(77)
    assert sorted(Refine(rules=(Margin(), Random())).select(asked).tolist()) == asked.unlabelled.tolist()


def test_it_needs_what_all_need_and_refuses_what_cannot_be() -> None:
    assert needs_of(Refine(rules=(Random(),))) == frozenset()
    assert needs_of(Refine(rules=(Random(),), then=Margin())) == {"scores"}
    for wrong, message in (
        ({"depth": -1}, "refine: depth is -1; it must be at least 0"),
        ({"draws": 0}, "refine: draws is 0; it must be at least 1"),
        ({"share": 0.0}, "refine: share is 0.0; it must be above 0 and at most 1"),
        ({"rules": (Galaxy(),)}, "refine: a rule that has labels revealed cannot filter"),
    ):
        with pytest.raises(ValueError, match=message):
            Refine(**wrong)

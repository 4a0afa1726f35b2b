"""Rules that buy the same rows are one rule, or one of them is not what it says: every pair has its reason here."""

from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest
from support import rules
from support.cheaper import CHEAPER
from support.trials import make_pool, make_trial

from albench.benchmark import registry
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Pool
from albench.results.measures.findings import twins

POOLS = {"two classes": make_pool(200, 2, seed=1, spread=2.5), "five classes": make_pool(200, 5, seed=2, spread=2.5)}
SEEDS = 2

ONE_RULE: dict[str, list[dict[str, str]]] = {
    "two classes": [  # the largest probability says all
        {
            "margin": "1 - (largest - second largest)",
            "least-confidence": "1 - largest",
            "entropy": "falls as the largest grows",
            "deepfool": "there is one boundary, and the distance to it grows with the largest",
            "ceal": "entropy; its guesses change the training, here too little to move a pick",
            "subset": "margin, of as many rows as the pool has",
            "dcom": "margin, where the balls of the labels cover the pool",
        }
    ],
    "five classes": [
        {
            "margin": "1 - (largest - second largest)",
            "subset": "margin, of as many rows as the pool has",
            "dcom": "margin, where the balls of the labels cover the pool",
        },
        {"entropy": "-sum p log p", "ceal": "entropy; its guesses change the training, here too little to move a pick"},
    ],
}
"""Rules that are one on a pool, and why."""


def bought(name: str, pool: Pool) -> pd.DataFrame:
    """Return the rounds of a rule on a pool, as a run keeps them."""
    strategy = replace(rules.rule(name), **CHEAPER.get(name, {}))  # type: ignore[type-var]  # rules are dataclasses
    validation = 12 if "validation" in registry.needs_of(strategy) else 0
    rows = []
    for seed in range(SEEDS):
        trial = make_trial(name, initial="10", rounds=4, seed=seed, query=12, validation=validation)
        for round_ in run_trial(trial, pool, strategy, rules.learner_for(strategy)):
            place = {"dataset": "made", "embedding": "raw", "learner": "linear", "budget": "b"}
            own = {"strategy": name, "seed": seed, "round": round_.index, "selected": round_.selected}
            rows.append({**place, **own, "trial_id": f"{name}/{seed}", "bought_by": round_.bought_by})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("pool", POOLS)
def test_every_pair_that_coincides_is_explained(pool: str) -> None:
    found = twins(pd.concat([bought(name, POOLS[pool]) for name in rules.names()], ignore_index=True))
    explained = {frozenset(pair) for names in ONE_RULE[pool] for pair in combinations(names, 2)}
    assert {frozenset((twin.first, twin.second)) for twin in found} == explained

"""Our rules against scikit-activeml's of the same name: the same picks, the same scores, or why not.

`random` is left out. Theirs without ours: ContrastiveAL, Quire, CostEmbeddingAL and expected error reduction.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import chisquare
from support.queries import cloud, linear_query, query, random_passes, random_probs

from albench.benchmark.registry import strategies
from albench.benchmark.types import Answers, Floats, Labels, Query, Rows, Strategy
from albench.strategies.coverage.max_herding import MaxHerding
from albench.strategies.coverage.probcover import ProbCover
from albench.strategies.coverage.typiclust import TypiClust
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.gradient.badge import Badge
from albench.strategies.hybrid.clue import Clue
from albench.strategies.hybrid.dropquery import DropQuery
from albench.strategies.hybrid.falcun import Falcun
from albench.strategies.kernels.distances import pool_units
from albench.strategies.uncertainty.bald import BALD
from albench.strategies.uncertainty.batchbald import BatchBALD
from albench.strategies.uncertainty.entropy import Entropy
from albench.strategies.uncertainty.least_confidence import LeastConfidence
from albench.strategies.uncertainty.margin import Margin
from albench.strategies.uncertainty.qbc import QBC
from albench.strategies.uncertainty.variation_ratio import VariationRatio

pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed (pip install -e '.[test]')")

SEEDS = range(10)
N, LABELLED = 40, [3, 17, 25]


def theirs(member: str, asked: Query, **parameters: Any) -> list[int]:
    rule: Strategy = strategies.get(f"skactiveml:{member}").cls(**parameters)
    picks: list[int] = rule.select(asked).tolist()
    return picks


def utilities(member: str, asked: Query, labelled: list[int], n: int = 1, **how: Any) -> Floats:
    """Return their utilities (n, N) of the rows that are not labelled, NaN elsewhere."""
    import skactiveml.pool

    y = np.full(len(asked.features), np.nan)
    y[labelled] = np.arange(len(labelled)) % 2
    asks = {key: how.pop(key) for key in ("X", "clf", "fit_clf", "ensemble", "fit_ensemble") if key in how}
    strategy = getattr(skactiveml.pool, member)(random_state=0, **how)
    _, found = strategy.query(**({"X": asked.features} | asks), y=y, batch_size=n, return_utilities=True)
    return np.asarray(found)


# --- the same picks, in the same order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "method"),
    [(LeastConfidence(), "least_confident"), (Margin(), "margin_sampling"), (Entropy(), "entropy")],
    ids=str,
)
@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_one_pass(ours: Strategy, method: str, seed: int) -> None:
    asked = query(cloud(seed, N), 9, LABELLED, scores=random_probs(seed, N))
    assert ours.select(asked).tolist() == theirs("UncertaintySampling", asked, method=method)


@pytest.mark.parametrize("seed", SEEDS)
def test_bald(seed: int) -> None:
    asked = query(cloud(seed, N), 9, LABELLED, passes=random_passes(seed, 10, N))
    assert BALD().select(asked).tolist() == theirs("GreedyBALD", asked)


@pytest.mark.parametrize("seed", SEEDS)
def test_batchbald_while_both_are_exact(seed: int) -> None:
    """Theirs draws labels of the batch as soon as there are more of them than ``n_MC_samples``, by default passes."""
    asked = query(cloud(seed, N), 6, LABELLED, passes=random_passes(seed, 8, N))  # 3^5 configurations at most
    ours = BatchBALD(passes=8, configurations=243).select(asked).tolist()
    assert ours == theirs("BatchBALD", asked, passes=8, n_MC_samples=243)


@pytest.mark.parametrize("member", ["CoreSet", "GreedySamplingX"])
@pytest.mark.parametrize("seed", SEEDS)
def test_farthest_first(member: str, seed: int) -> None:
    asked = query(cloud(seed, N), 12, LABELLED)
    assert CoreSet("embedding").select(asked).tolist() == theirs(member, asked)


@pytest.mark.parametrize("seed", SEEDS)
def test_typiclust_where_the_clusters_are_told(seed: int) -> None:
    """Theirs clusters the features as they are (ours unit rows), passes by labelled clusters, has 5 neighbours."""
    rng = np.random.default_rng(seed)
    sizes = [14, 18, 23, 29, 36, 44]  # one cluster each, and half of the members are more than 5
    points = np.repeat(np.eye(6), sizes, axis=0) + 0.02 * rng.normal(size=(sum(sizes), 6))
    order = rng.permutation(len(points))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True))[order]
    cluster = np.repeat(np.arange(6), sizes)[order]
    asked = query(points, 4, [int(np.flatnonzero(cluster == c)[0]) for c in (1, 5)])
    picks = TypiClust(neighbours=5).select(asked)
    assert cluster[picks].tolist() == [4, 3, 2, 0]
    assert picks.tolist() == theirs("TypiClust", asked, k=5)


@pytest.mark.parametrize("seed", SEEDS)
def test_clue_where_the_clusters_are_told(seed: int) -> None:
    """Theirs takes the row nearest each centre wherever it is, ours the nearest of its cluster."""
    rng = np.random.default_rng(seed)
    points = np.repeat(10 * np.eye(5), 8, axis=0)[rng.permutation(N)] + rng.normal(size=(N, 5))
    asked = query(points, 5, [], scores=random_probs(seed, N))
    assert sorted(Clue().select(asked).tolist()) == sorted(theirs("Clue", asked))


@pytest.mark.parametrize("seed", SEEDS)
def test_dropquery_where_dropout_and_clusters_are_told(seed: int) -> None:
    """All features left out, a prediction is that of the bias: candidates are the rows of another class.

    Else masks are draws. Theirs leaves features out without growing the others, and clusters rows as they are (ours
    unit rows); it never takes a pass less, but fills up with rows that the fewest passes disagree on.
    """
    rng = np.random.default_rng(seed)
    points = np.repeat(np.eye(5), 8, axis=0)[rng.permutation(N)] + 0.05 * rng.normal(size=(N, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    asked = linear_query(points, 4, 10 * np.eye(5), np.array([0.1, 0, 0, 0, 0]), [0, 7], seed)
    ours = sorted(DropQuery(rate=1 - 1e-12).select(asked).tolist())
    assert sorted(points[ours].argmax(axis=1).tolist()) == [1, 2, 3, 4]
    assert ours == sorted(theirs("DropQuery", asked, dropout_rate=1 - 1e-12))


# --- the same scores, where ties are drawn ---------------------------------------------------------------------------


@pytest.mark.parametrize("labelled", [LABELLED, []], ids=["labels", "no labels"])
@pytest.mark.parametrize("seed", SEEDS)
def test_max_herding(seed: int, labelled: list[int]) -> None:
    """Two rows that cover nothing but each other gain the same, and it is drawn which is first.

    Their mean is over the candidates, ours over the pool: labelled rows add nothing to it. Their width is another.
    """
    asked, bought = query(cloud(seed, N), 12, labelled, seed=seed), [*labelled]
    for pick in MaxHerding(width=0.7).select(asked).tolist():
        [gain] = utilities("MaxHerding", asked, bought, metric_dict={"gamma": 1 / 0.7**2})
        assert gain[pick] > (1 - 1e-5) * np.nanmax(gain)
        bought.append(pick)


@pytest.mark.filterwarnings("ignore:The maximum purity")  # said of a radius that is given, too
@pytest.mark.parametrize("seed", SEEDS)
def test_probcover_at_a_given_radius(seed: int) -> None:
    """Each of our picks covers the most by their count. Once all is covered theirs draws, ours covers again."""
    asked = query(cloud(seed, N, 4), 10, LABELLED, seed=seed)
    units, bought, gains = pool_units(asked), [*LABELLED], []
    for pick in ProbCover(delta=0.6).select(asked).tolist():
        [count] = utilities("ProbCover", asked, bought, X=units, deltas=[0.6])
        gains.append(np.nanmax(count))
        assert count[pick] == gains[-1] or gains[-1] == 0
        bought.append(pick)
    assert gains[0] > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_variation_ratio_is_their_committee_of_passes(seed: int) -> None:
    passes = random_passes(seed, 10, N)
    asked = query(cloud(seed, N), 1, LABELLED, passes=passes)
    how: dict[str, Any] = {
        "ensemble": [classifier(one) for one in passes],
        "fit_ensemble": False,
        "method": "variation_ratios",
    }
    [found] = utilities("QueryByCommittee", asked, [], X=np.arange(N)[:, None], **how)
    assert np.allclose(VariationRatio(passes=10).score(asked), found[asked.unlabelled])


@pytest.mark.parametrize(("measure", "method"), [("vote-entropy", "vote_entropy"), ("kl", "KL_divergence")])
def test_qbc_of_one_committee(measure: Any, method: str) -> None:
    """Theirs takes any committee; it is handed the one that ours has fitted. Theirs counts 1e-7 for what is less."""
    asked, members = query(cloud(2, N), 1, LABELLED, scores=random_probs(2, N)), []

    def fit(rows: Rows, labels: Labels) -> Answers:
        members.append(asked.fit(rows, labels))
        return members[-1]

    score = QBC(measure=measure).score(replace(asked, desk=replace(asked.desk, fit=fit)))
    ensemble = [classifier(member.of(np.arange(N)).probs.astype(float)) for member in members]
    how: dict[str, Any] = {"ensemble": ensemble, "fit_ensemble": False, "method": method}
    [found] = utilities("QueryByCommittee", asked, [], X=np.arange(N)[:, None], **how)
    assert len(ensemble) == 10
    assert score.max() > 0.03
    assert np.allclose(score, found[asked.unlabelled], atol=1e-5)


# --- the same but for one thing --------------------------------------------------------------------------------------


def test_badge_begins_alike_and_then_theirs_takes_the_origin_for_a_centre() -> None:
    """Theirs draws by min(|g|², D²), ours and the authors' code by D². Ours has the bias's 1; theirs is given it."""
    points, probs, size = cloud(1, 14), random_probs(1, 14, 3), 600
    probs[:4] *= 0.2  # short gradients, far from the longest
    probs[:4, 0] += 0.8
    asked = query(points, 2, [], scores=probs)
    beside = np.column_stack([points, np.ones(14)])
    g = ((probs - np.eye(3)[probs.argmax(axis=1)])[:, :, None] * beside[:, None, :]).reshape(14, -1)
    longest = int(np.square(g).sum(axis=1).argmax())
    D = np.square(cdist(g, g[[longest]]))[:, 0]
    capped = np.minimum(D, np.square(g).sum(axis=1))

    model = classifier(probs)
    model.answer = lambda _: probs.copy()
    [first, second] = utilities("Badge", asked, [], n=2, X=beside, clf=model, fit_clf=False)
    assert first.argmax() == longest
    assert np.allclose(np.delete(second, longest), np.delete(capped / capped.sum(), longest), atol=1e-6)

    picks = [Badge("embedding").select(query(points, 2, [], scores=probs, seed=s)).tolist() for s in range(size)]
    assert {pick[0] for pick in picks} == {longest}
    times = np.bincount([pick[1] for pick in picks], minlength=14)
    others = np.arange(14) != longest
    assert chisquare(times[others], size * (D / D.sum())[others]).pvalue > 1e-3
    assert chisquare(times[others], size * (capped / capped.sum())[others]).pvalue < 1e-6


def test_falcun_begins_alike_and_then_theirs_scales_otherwise() -> None:
    """Theirs begins as ours does with ``distance``, goes on as with ``sum``, and scales over the drawn rows too."""
    probs, gamma, size = random_probs(3, 12, 3), 3, 800
    u = 1 - np.diff(np.sort(probs, axis=1)[:, -2:])[:, 0]
    how = {"X": np.arange(12)[:, None], "clf": classifier(probs), "fit_clf": False, "gamma": gamma}
    [first, second] = utilities("Falcun", query(cloud(3, 12), 2), [], n=2, **how)
    picks = [Falcun(gamma, "distance").select(query(cloud(3, 12), 1, scores=probs, seed=s))[0] for s in range(size)]
    assert chisquare(np.bincount(picks, minlength=12), size * first).pvalue > 1e-3

    drawn = int(np.flatnonzero(np.isnan(second))[0])
    others = np.arange(12) != drawn
    near = np.minimum(u, np.abs(probs - probs[drawn]).sum(axis=1))
    odds = [(u + near / near.max())[others], Falcun(gamma, "sum")._relevance(near[others], u[others])]
    scaled, ours = (each**gamma / (each**gamma).sum() for each in odds)
    assert np.allclose(second[others], scaled, atol=1e-6)
    assert np.abs(ours - scaled).max() > 0.01


def classifier(probs: Floats) -> Any:
    """Return a classifier of theirs that has these probabilities (N, C); it is asked by row numbers (b, 1)."""
    from albench.strategies.kernels.theirs.lookup import Lookup

    strategies.get("skactiveml:Badge")  # has their library loaded, which then knows our classifiers
    return Lookup(lambda X: probs[np.asarray(X)[:, 0].astype(int)], probs.shape[1])

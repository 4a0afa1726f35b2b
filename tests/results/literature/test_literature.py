import csv
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from albench.benchmark.lesson import Regime
from albench.results.literature import comparison
from albench.results.literature.comparison import PART_MEAN, Beside, Verdict, compare, welch
from albench.results.literature.orders import orders
from albench.results.literature.published_numbers import FOLDER, published
from albench.results.measures.evidence import Evidence, Runs
from albench.results.measures.tables import IDENTITY
from albench.results.record.schema import IMPORTED
from albench.results.report.numbers import Numbers
from albench.results.report.sections import literature

OURS = FOLDER.parent / "published" / "wdbc.csv"
WDBC = ("wdbc(split=resampled, test=0.4)", "raw(scale=standard)", "svm", "all")
TYPICLUST = {"typiclust-01", "typiclust-02", "typiclust-03"}
SAID = ("embedding", "learner")  # what of TypiClust's from-scratch runs is not ours, or not printed
Curves = dict[tuple[str, int], NDArray[np.float64]]


def evidence(place: tuple[str, str, str, str], labels: list[int], curves: Curves, regime: str = "") -> Evidence:
    """Return what a run holds whose trials (strategy, seed) measured these curves (R,) at these labels."""
    rounds: list[tuple[object, ...]] = [
        (*place, strategy, seed, f"{strategy}-{seed}", r, n, [], IMPORTED, accuracy, np.nan, np.nan, [])
        for (strategy, seed), curve in curves.items()
        for r, (n, accuracy) in enumerate(zip(labels, curve, strict=True))
    ]
    names = [*IDENTITY, "seed", "trial_id"]
    measured = [
        "round",
        "n_labelled",
        "class_counts",
        "bought_by",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "selected",
    ]
    frame = pd.DataFrame(rounds, columns=[*names, *measured])
    trials = frame[names].drop_duplicates().assign(outcome="done", reason="", host="", device="", ended_at=0)
    manifests = {"run": {"regimes": {place[2]: regime}}} if regime else {}
    return Evidence.of(Runs(frame, trials, trials[names], manifests, ()))


def wdbc(shift: float = 0.0, seeds: int = 150, place: tuple[str, str, str, str] = WDBC, step: int = 1) -> Evidence:
    """Return our published study of wdbc: flat curves whose ``aubc-points/1`` are those of its seeds."""
    labels = list(range(20, 342, step))
    of_constant = len(labels) / (len(labels) - 1)
    with OURS.open() as file:
        rows = [row for row in csv.DictReader(file) if int(row["seed"]) < seeds]
    return evidence(
        place,
        labels,
        {
            (row["strategy"], int(row["seed"])): np.full(
                len(labels), (float(row["aubc-points/1"]) + shift) * of_constant
            )
            for row in rows
        },
    )


def by_rule(found: list[Beside]) -> dict[str, Beside]:
    return {one.key.strategy: one for one in found}


# --- the interval ----------------------------------------------------------------------------------------------------


def test_welch_is_scipys(rng: np.random.Generator) -> None:
    for n, m in ((2, 3), (10, 150), (150, 150)):
        ours, theirs = rng.normal(0.95, 0.01, n), rng.normal(0.96, 0.02, m)
        interval = welch(ours, float(theirs.mean()), float(theirs.std(ddof=1)), m)
        expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_welch_covers_what_it_says(rng: np.random.Generator) -> None:
    """Unequal spreads and numbers of seeds; 2,000 draws: the standard error of the coverage is half a point."""
    hits = 0
    for _ in range(2000):
        ours, theirs = rng.normal(0.0, 1.0, 10), rng.normal(0.5, 3.0, 25)
        interval = welch(ours, float(theirs.mean()), float(theirs.std(ddof=1)), 25)
        hits += interval.low <= -0.5 <= interval.high
    assert 0.93 <= hits / 2000 <= 0.97


def test_rounding_widens_it_and_equal_values_have_an_interval_of_it_alone() -> None:
    interval = welch(np.full(4, 0.5), 0.50004, 0.0, 4, rounding=0.00005)
    assert interval.contains_zero
    assert interval.half_width == pytest.approx(0.00005)


def test_one_seed_has_no_interval() -> None:
    assert np.isnan(welch(np.array([0.5]), 0.5, 0.1, 10).low)
    assert np.isnan(welch(np.array([0.5, 0.6]), 0.5, 0.1, 1).low)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_wdbc_is_within_the_interval() -> None:
    run = wdbc()
    found = by_rule(compare(run)[0])
    assert set(found) == {"random", "margin"}
    for rule, (name, value, std, difference) in {
        "random": ("Uniform", 0.9539, 0.0130, -0.0004),
        "margin": ("US-C", 0.9652, 0.0103, 0.0000),
    }.items():
        one = found[rule]
        assert (one.row.strategy, one.row.value, one.row.std, one.row.seeds) == (name, value, std, 150)
        assert (one.metric, len(one.ours), one.verdict, one.why) == ("aubc-points/1", 150, Verdict.WITHIN, ())
        assert one.difference.mean == pytest.approx(difference, abs=1e-4)
        assert 0.002 < one.difference.half_width < 0.003  # it can tell: a difference of 0.003 would be seen
    text = "\n".join(" ".join(row) for block in literature.blocks(run) for row in block.rows)
    assert "within interval" in text
    assert "0.9652 ± 0.0103, n=150 (rebenchmark, US-C, D)" in text


def test_a_shift_of_two_points_differs() -> None:
    assert {one.verdict for one in compare(wdbc(shift=-0.02, seeds=10))[0]} == {Verdict.DIFFERS}


CIFAR = ("cifar10", "clip_ViTB32", "linear+flexmatch", "b")


def ours(run: Evidence) -> Evidence:
    """Return the same rounds as bought by a run of our own."""
    return Evidence.of(replace(run.runs, rounds=run.rounds.assign(bought_by="strategy")))


def bait() -> Evidence:
    """Return curves whose n, means and SDs are the published ones of bait."""
    labels = [1000, 2000, 3000]
    spread = np.array([-1.0, -1.0, 1.0, 1.0])
    spread /= spread.std(ddof=1)
    rows = {row.labels: row for row in published() if row.origin == "labelbench-01" and row.rule == "bait"}
    values = np.array([rows[n].value + rows[n].std * spread for n in labels]).T
    return evidence(CIFAR, labels, {("bait", seed): curve for seed, curve in enumerate(values)})


def test_imported_curves_that_are_the_published_ones_are_the_same_data() -> None:
    run = bait()
    (one,) = compare(run)[0]
    assert (one.verdict, {verdict for _, verdict in one.along}) == (Verdict.SAME_DATA, {Verdict.SAME_DATA})
    text = literature.blocks(run)[0].text
    assert text.startswith("0 of 1 are comparable")
    assert "1 are the same data" in text
    (own,) = compare(ours(run))[0]  # a run of our own may well come out the same
    assert own.verdict == Verdict.WITHIN
    fewer = run.rounds[run.rounds["seed"] > 0]
    (other,) = compare(Evidence.of(replace(run.runs, rounds=fewer, plan=run.runs.plan[:0])))[0]
    assert other.verdict == Verdict.WITHIN  # three seeds of another mean: nothing says whose they are


def test_an_interval_too_wide_to_tell_is_not_agreement() -> None:
    values = {("margin", seed): np.full(322, 0.93 * 322 / 321 + 0.018 * seed) for seed in range(2)}
    run = ours(evidence(WDBC, list(range(20, 342)), values))
    (one,) = compare(run)[0]
    assert one.difference.mean == pytest.approx(-0.026, abs=1e-3)
    assert one.difference.half_width > 0.08
    assert (one.verdict, one.why) == (
        Verdict.NOT_RESOLVED,
        (f"half-width {one.difference.half_width:.4f}, more than 0.02",),
    )
    assert "1 of 1 are comparable" in (text := literature.blocks(run)[0].text)
    assert "0 within interval, 0 differs, 1 not resolved" in text


@pytest.mark.parametrize("shift", [0.0, -0.02])
def test_without_their_spread_agreement_and_difference_are_told_alike(
    shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tuple(row._replace(std=np.nan) if row.rule == "margin" else row for row in published())
    monkeypatch.setattr(comparison, "published", lambda: bare)
    besides, rests = compare(wdbc(shift=shift, seeds=50))
    assert by_rule(besides)["margin"].verdict == Verdict.NOT_RESOLVED
    assert by_rule(besides)["margin"].why == (
        "their SD not printed: the interval is that of our mean alone, too narrow",
    )
    assert all("margin" not in reason and "do not have" not in reason for rest in rests for reason in rest.reasons)


def test_what_is_read_off_a_figure_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    by_eye = tuple(row._replace(mark="E") if row.rule == "margin" else row for row in published())
    monkeypatch.setattr(comparison, "published", lambda: by_eye)
    one = by_rule(compare(wdbc(shift=-0.1, seeds=50))[0])["margin"]
    assert (one.verdict, one.why) == (Verdict.NOT_RESOLVED, ("theirs is no hard target (read off a figure by eye)",))


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (("wdbc", *WDBC[1:]), "data"),
        ((WDBC[0], "raw", *WDBC[2:]), "embedding"),
        ((*WDBC[:2], "linear", "all"), "learner"),
    ],
)
def test_another_setting_is_not_comparable(place: tuple[str, str, str, str], what: str) -> None:
    found = compare(wdbc(place=place, seeds=3))[0]
    assert {one.verdict for one in found} == {Verdict.NOT_COMPARABLE}
    assert all(len(one.why) == 1 and one.why[0].startswith(what) for one in found)
    assert all(not np.isnan(one.difference.mean) for one in found)  # they still stand side by side


def test_another_schedule_has_no_such_area() -> None:
    besides, rests = compare(wdbc(step=3, seeds=3))
    assert not besides
    reasons = rests[0].reasons
    assert reasons == {"at a budget or by a metric that these runs do not have": 2, "of rules not run here": 17}


def test_one_seed_is_not_comparable() -> None:
    assert {one.why for one in compare(wdbc(seeds=1))[0]} == {("one seed, so no interval",)}


def test_a_rule_with_parameters_is_another_rule() -> None:
    labels = list(range(20, 342))
    changed = evidence(WDBC, labels, {("margin(k=2)", seed): np.full(322, 0.96 + seed / 100) for seed in range(3)})
    (one,) = compare(changed)[0]
    assert one.why == ("rule (ours margin(k=2); theirs as in their code)",)


def test_a_mean_over_part_of_the_rounds_stands_beside_ours() -> None:
    place = ("cifar10", "timm:vit_small_patch14_dinov2.lvd142m", "linear", "low")
    curve = np.linspace(0.5, 0.9, 21)
    run = evidence(place, list(range(10, 211, 10)), {("margin", seed): curve + seed / 100 for seed in range(3)})
    found = [one for one in compare(run)[0] if one.row.source == "boss"]
    low, mid, high = found
    assert {one.metric for one in found} == {PART_MEAN}
    for one, part in ((low, curve[:7]), (mid, curve[7:14]), (high, curve[14:])):
        assert one.ours == pytest.approx([part.mean() + seed / 100 for seed in range(3)])
    assert low.verdict == Verdict.NOT_COMPARABLE
    assert low.why == ("learner (ours linear; theirs last-layer Laplace linear head, 200 epochs of SGD)",)
    assert low.row.value == 0.745


def test_points_of_a_curve_are_gathered_and_its_labels_must_be_bought_alike() -> None:
    place = ("cifar10", "clip_ViTB32", "linear+flexmatch", "b")
    curve = np.array([0.9331, 0.9407, 0.9442])  # bait at 1000, 2000 and 3000 labels, as published
    same = evidence(place, [1000, 2000, 3000], {("bait", s): curve + s / 1000 - 0.001 for s in range(3)})
    (one,) = compare(same)[0]
    assert (one.row.labels, one.verdict, len(one.along)) == (3000, Verdict.WITHIN, 3)
    other = evidence(place, [1000, 3000], {("bait", s): curve[[0, 2]] + s / 1000 for s in range(3)})
    (one,) = compare(other)[0]
    assert one.why == ("budget (ours 1000 + 1 x 2000; theirs 1000 and 1000|1001 at a time)",)


def test_a_network_by_a_harnesss_recipe_is_comparable_and_one_with_other_settings_is_not() -> None:
    """Random and margin of UDAL's notebook at 4,992 labels: .849 and .873."""
    labels = [128 * round_ for round_ in range(1, 40)]
    curves = {("margin", seed): np.linspace(0.3, 0.873, 39) + (seed - 1) / 100 for seed in range(3)}
    for learner, comparable in (("resnet18(recipe=udal)", True), ("resnet18(recipe=udal, width=8)", False)):
        run = evidence(("cifar10", "simclr", learner, "b128"), labels, curves, Regime.SCRATCH)
        one = next(one for one in compare(run)[0] if one.row.origin == "dal-toolbox-udal-01" and one.row.labels)
        assert (one.row.value, one.verdict != Verdict.NOT_COMPARABLE) == (0.873, comparable)
        assert comparable or one.why[0].startswith(f"learner (ours {learner}; theirs ResNet-18 from scratch")


def test_fine_tuning_stands_beside_fine_tuning_and_says_in_what_it_differs() -> None:
    """As the study labelbench-finetune has it, whose rules are asked of the network: its embedding is no difference."""
    place = ("cifar10", "raw", "finetune:vit_base_patch32_clip_224.openai", "b1000")
    curves = {("margin", seed): np.linspace(0.95, 0.97, 10) + seed / 1000 for seed in range(4)}
    labels = [1000 * round_ for round_ in range(1, 11)]
    found = {one.row.origin: one for one in compare(evidence(place, labels, curves, Regime.FINE_TUNED))[0]}
    one = found["labelbench-04"]
    assert (one.row.labels, one.row.value, len(one.along)) == (10_000, 0.9748, 10)
    assert one.verdict == Verdict.NOT_COMPARABLE
    assert one.why == (f"learner (ours {place[2]}; theirs CLIP ViT-B/32 fine-tuned end to end)",)
    assert found["labelbench-03"].why[0] == "regime (ours fine-tuned; theirs semi-supervised)"


def test_another_regime_is_a_reason_and_a_gain_stands_beside_the_published_gain() -> None:
    """TypiClust's bars print no number of labels, and one bar is of each regime; ours is from the images in a zip."""
    place = ("folder:cifar10-images.zip(per_class=1000)", "simclr", "resnet18(recipe=typiclust)", "low")
    curves = {("random", s): np.array([0.2, 0.3 + s / 100]) for s in range(3)}
    curves |= {("typiclust", s): np.array([0.25, 0.34 + s / 50]) for s in range(3)}
    run = evidence(place, [10, 20], curves, Regime.SCRATCH)
    found = {one.row.regime: one for one in compare(run)[0] if one.row.origin in TYPICLUST}
    assert set(found) == {"from-scratch", "frozen-linear", "semi-supervised"}
    for one in found.values():
        assert one.metric == "gain/1 over random at 20, points"
        assert one.ours == pytest.approx([4, 5, 6])
        assert one.verdict == Verdict.NOT_COMPARABLE
    scratch, frozen = found["from-scratch"], found["frozen-linear"]
    assert (scratch.row.value, frozen.row.value) == (6.4, 27.5)
    assert [why.partition(" (")[0] for why in scratch.why] == ["data", *SAID, "budget"]
    assert [why.partition(" (")[0] for why in frozen.why] == ["regime", "data", "embedding", "learner", "budget"]
    assert frozen.why[0] == "regime (ours supervised from scratch; theirs head on frozen features)"
    assert frozen.why[1] == f"data (ours {place[0]}; theirs cifar10)"
    assert frozen.why[-1] == "budget (ours 10 + 1 x 10; theirs not printed)"


def test_one_regime_is_no_reason_and_an_unsaid_one_neither() -> None:
    for regime in (Regime.HEAD, ""):
        run = evidence(
            ("wdbc", *WDBC[1:]), list(range(20, 342)), {("margin", s): np.full(322, 0.9) for s in (0, 1)}, regime
        )
        assert [one.why[0].partition(" (")[0] for one in compare(run)[0]] == ["data"]


def test_unknown_datasets_are_said() -> None:
    run = evidence(("digits", "raw", "linear", "low"), [10, 20], {("random", 0): np.array([0.5, 0.6])})
    (block,) = literature.blocks(run)
    assert block.text.startswith("No published number is known for digits.")


def test_an_empty_run_is_no_error() -> None:
    assert len(literature.blocks(evidence(WDBC, [], {}))) == 1


# --- the order of the rules -----------------------------------------------------------------------------------------


def kendall(a: list[float], b: list[float]) -> float:
    signs = [np.sign(x2 - x1) * np.sign(y2 - y1) for (x1, y1), (x2, y2) in combinations(zip(a, b, strict=True), 2)]
    return float(np.mean(signs))


def test_rank_correlation_is_that_of_counted_pairs() -> None:
    """US-NC, QBC and so on have names of their own: ``qbc``, ``coreset``, ``random`` and ``margin`` are in both."""
    values = {"random": 0.95, "qbc": 0.97, "coreset": 0.94, "margin": 0.96}
    labels = list(range(20, 342))
    curves = {(rule, seed): np.full(322, value + seed / 1000) for rule, value in values.items() for seed in range(2)}
    (order,) = orders(compare(evidence(WDBC, labels, curves))[0])
    theirs = {row.rule: row.value for row in published() if row.dataset == "wdbc" and row.rule in values}
    rules = sorted(values)
    assert (order.n, order.comparable) == (4, True)
    assert order.tau == pytest.approx(kendall([values[r] for r in rules], [theirs[r] for r in rules]))
    ours = scipy.stats.rankdata([values[r] for r in rules]), scipy.stats.rankdata([theirs[r] for r in rules])
    assert order.rho == pytest.approx(np.corrcoef(*ours)[0, 1])


def test_an_order_is_one_at_one_number_of_labels() -> None:
    """LabelBench's BADGE ends 9 labels later than the others: it is named; a rule that stopped at 8,000 is left out."""
    steps = np.arange(10)
    labels = {"random": 1000, "margin": 1000, "entropy": 1000, "badge": 1001, "coreset": 1000}
    runs = [
        evidence(
            CIFAR,
            [int(n) for n in 1000 + steps[:last] * step],
            {(rule, s): np.full(last, 0.9 + i / 100 + s / 1000) for s in (0, 1)},
        )
        for i, (rule, step) in enumerate(labels.items())
        for last in [8 if rule == "coreset" else 10]
    ]
    rounds, trials, plan = (
        pd.concat([getattr(run.runs, name) for run in runs]) for name in ("rounds", "trials", "plan")
    )
    (order,) = orders(compare(ours(Evidence.of(Runs(rounds, trials, plan, {}, ()))))[0])
    assert (order.n, order.metric) == (4, "at/1, accuracy at 10000")
    assert order.elsewhere == ("badge at 10009", "without coreset at 8000")
    assert "at/1, accuracy at 10000 (badge at 10009, without coreset at 8000)" in literature._order(order, Numbers())


def test_two_rules_or_equal_values_have_no_order() -> None:
    assert orders(compare(wdbc(seeds=3))[0]) == []
    flat: Curves = {(rule, s): np.full(322, 0.9) for rule in ("random", "margin", "qbc") for s in range(2)}
    assert orders(compare(evidence(WDBC, list(range(20, 342)), flat))[0]) == []

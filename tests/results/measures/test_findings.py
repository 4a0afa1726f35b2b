import csv
from pathlib import Path

import pandas as pd
import pytest

from albench.benchmark import registry
from albench.benchmark.lesson import Regime
from albench.results.literature.foreign import import_curves
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.measures.findings import FIXED, grade, mixed_devices, spellings, strangers
from albench.results.measures.tables import Key, Summary


def graded(tmp_path: Path, learner: str, embedding: str = "pca") -> dict[str, tuple[str, str]]:
    """Return the grade of imported curves of a learner on an embedding: question -> answer, why."""
    with (tmp_path / "a.csv").open("w", newline="") as file:
        header = ["dataset", "embedding", "learner", "strategy", "seed", "n_labels", "accuracy"]
        csv.writer(file).writerows([header, *(["d", embedding, learner, "random", 0, n, 0.5] for n in (10, 20))])
    import_curves(tmp_path / "a.csv", tmp_path / "run", {})
    evidence = Evidence.of(read_runs([tmp_path / "run"]))
    every = grade(evidence.rounds, evidence.trials, evidence.summary)
    return {question: (answer, why) for question, answer, why in every}


@pytest.mark.parametrize(
    ("embedding", "learner", "answer", "why"),
    [
        ("pca", "linear+flexmatch", "in part", "learned features: none; semi-supervised learners: linear+flexmatch"),
        ("pca", "linear(C=1)+flexmatch(t=2)", "in part", "none; semi-supervised learners: linear(C=1)+flexmatch(t=2)"),
        ("pca+simclr", "flexmatch", "yes", "learned features: pca+simclr; semi-supervised learners: flexmatch"),
        ("timm:vit_small", "svm", "in part", "learned features: timm:vit_small; semi-supervised learners: none"),
        ("clip", "net+passive", "not known", "semi-supervised learners: none; not known: clip, net+passive"),
        ("pca", "svm", "no", "learned features: none; semi-supervised learners: none"),
    ],
)
def test_names_of_several_parts_are_graded_by_each(
    embedding: str, learner: str, answer: str, why: str, tmp_path: Path
) -> None:
    grades = graded(tmp_path, learner, embedding)
    given, reason = grades["self- and semi-supervised regimes"]
    assert given == answer
    assert reason.endswith(why)


def test_of_every_learner_of_ours_it_is_known_how_its_parameters_were_found() -> None:
    assert set(registry.learners.names()) == FIXED


@pytest.mark.parametrize("learner", ["linear", "linear+flexmatch"])
def test_nobody_says_how_an_imported_learner_was_tuned(learner: str, tmp_path: Path) -> None:
    expected = ("not known", f"nothing says how the parameters were found of {learner}")
    assert graded(tmp_path, learner)["tuned classifier"] == expected


def test_the_regimes_that_are_covered_are_said(tmp_path: Path) -> None:
    name = "several training regimes"
    assert graded(tmp_path, "linear")[name] == ("not known", "regime not said: linear")
    rounds = pd.DataFrame(
        {"dataset": "d", "embedding": "simclr", "learner": ["linear", "net"], "budget": "b", "seed": 0}
    )
    rounds = rounds.assign(round=0, n_labelled=10, bought_by="strategy", settings=None)
    trials = pd.DataFrame(columns=["outcome", "host", "device"])

    def said(by_learner: dict[str, str]) -> dict[str, tuple[str, str]]:
        every = grade(rounds, trials, Summary("random", by_learner=by_learner))
        return {question: (answer, why) for question, answer, why in every}

    both = said({"linear": Regime.HEAD, "net": Regime.SEMI})
    assert both[name] == ("yes", "head on frozen features: linear; semi-supervised: net")
    assert both["self- and semi-supervised regimes"] == (
        "yes",
        "learned features: simclr; semi-supervised learners: net",
    )
    assert said({"linear": Regime.HEAD, "net": Regime.HEAD})[name] == ("no", "head on frozen features: linear, net")


def test_where_nothing_ran_no_anchor_is_everywhere() -> None:
    rounds = pd.DataFrame(columns=["budget"])
    trials = pd.DataFrame(columns=["outcome", "host", "device"])
    answers = {one.question: one.answer for one in grade(rounds, trials, Summary("random"))}
    assert answers["random as an anchor"] == answers["full-data bound as an anchor"] == "not known"


def test_pairs_on_several_devices_are_named() -> None:
    place = {"dataset": "d", "embedding": "e", "learner": "l", "budget": "b", "outcome": "done"}
    rows = [(0, "x86_64"), (0, "card"), (1, "x86_64"), (1, "x86_64"), (2, ""), (2, "card")]
    trials = pd.DataFrame([{**place, "seed": seed, "device": device} for seed, device in rows])
    said = ["d/e/l/b: the trials of 1 seed ran on several devices (card, x86_64)"]
    assert mixed_devices(trials) == said
    assert mixed_devices(trials[trials["seed"] > 0]) == []


def test_strategies_that_share_no_seed_are_named() -> None:
    place = ("toys", "clip", "linear", "low")
    seeds = {Key(*place, "random"): [0, 1], Key(*place, "margin"): [1, 2], Key(*place, "left"): []}
    assert strangers(seeds) == []
    assert strangers(seeds | {Key(*place, name): range(10, 20) for name in ("badge", "bald")}) == [
        "toys/clip/linear, low: random (seeds 0, 1) and badge, bald (seeds 10, 11, 12, 13 and 6 more) share no seed"
        " (nor do 1 more pair): they cannot be compared seed by seed, so no gain is shown and neither is marked"
        " as better"
    ]


def test_one_name_in_several_spellings_is_named() -> None:
    assert spellings("strategies", ["margin", "least-confidence", "random", "Margin ", "Least Confidence"]) == [
        f"strategies {pair}: one under several spellings? They are told apart; write one name to have them as one"
        for pair in ("'margin' and 'Margin '", "'least-confidence' and 'Least Confidence'")
    ]
    assert spellings("strategies", ["bald", "batchbald"]) == []

"""Select with one learner, train another, inside one trial."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import invoke, nothing_written, run, write_grid
from support.trials import Listening, make_pool, make_trial, rounds_of

from albench.benchmark import loop, registry
from albench.benchmark.grid.grid import parse
from albench.benchmark.grid.study import resolve
from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.purchase import Purchase, Recorded
from albench.benchmark.types import Learner, Lesson, Model, Round
from albench.results.record.store import RunStore
from albench.strategies.composed.ceal import Ceal

RULES = ("random", "margin", "badge", "bald", "coreset", "selectal", "qbc", "al-fk", "boss-oracle", "ceal", "tailor")


def picks(rounds: list[Round]) -> list[list[int]]:
    return [round_.selected.tolist() for round_ in rounds]


@pytest.mark.parametrize("initial", ["0", "6"])
@pytest.mark.parametrize("name", RULES)
def test_the_selector_buys_what_it_buys_for_itself_and_the_learner_is_scored_on_it(name: str, initial: str) -> None:
    """The oracle is two trials one after the other: the selector's own, then its picks on record for the learner."""
    trial, selector = make_trial(name, initial, rounds=3, validation=8), Linear(passes="dropout")
    alone, both = rounds_of(trial, selector), rounds_of(trial, KNN(3), selector)
    assert picks(both) == picks(alone)
    assert [round_.bought_by for round_ in both] == [round_.bought_by for round_ in alone]
    if not loop.chained(registry.strategies.get(name).cls()):  # its guesses are on no record
        record = Recorded(tuple(Purchase(round_.batch, round_.bought_by, 0.0) for round_ in alone))
        replayed = list(loop.run_trial(trial, make_pool(), record, KNN(3)))
        assert [round_.scores for round_ in both] == [round_.scores for round_ in replayed]
    assert [round_.scores for round_ in both] != [round_.scores for round_ in alone]


def test_both_are_taught_the_same_labels_and_the_selector_only_where_the_rule_asks() -> None:
    learner, selector = Listening(), Listening()
    rounds_of(make_trial("margin", "0"), learner, selector)
    assert [lesson.rows.tolist() for lesson in selector.lessons] == [
        lesson.rows.tolist()
        for lesson in learner.lessons[:-1]  # nothing is bought after the last
    ]
    assert not set(map(id, selector.lessons)) & set(map(id, learner.lessons))
    unasked = Listening()
    rounds_of(make_trial("typiclust"), Listening(), unasked)
    assert not unasked.lessons


def test_a_rule_fits_the_selector_and_its_guesses_are_taught_to_both() -> None:
    learner, selector = Listening(), Listening()
    rounds_of(make_trial("selectal", rounds=2), learner, selector)
    assert len(selector.lessons) > len(learner.lessons) == 3
    learner, selector = Listening(), Listening()
    list(loop.run_trial(make_trial(), make_pool(), Ceal(delta=0.5), learner, selector=selector))
    assert [len(lesson.rows) for lesson in selector.lessons] == [len(lesson.rows) for lesson in learner.lessons[:-1]]
    assert len(selector.lessons[1].rows) > 6 + 5


def test_each_sees_its_own_view() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(100, 4, 4, 1), dtype=np.uint8)
    pool = replace(make_pool(), images=images[:60], test_images=images[60:])
    seeing = MLP(width=8, steps=20, sees="images")
    trial = make_trial("margin", rounds=2)
    assert picks(rounds_of(trial, Linear(), seeing, pool)) == picks(rounds_of(trial, seeing, None, pool))
    assert picks(rounds_of(trial, seeing, Linear(), pool)) == picks(rounds_of(trial, Linear(), None, pool))


@dataclass(frozen=True)
class Warm:
    """A linear learner that counts the models before its own, and whose penalty depends on that."""

    chained = True

    @property
    def gives(self) -> frozenset[str]:
        return Linear().gives

    def fit(self, lesson: Lesson) -> Model:
        age = getattr(lesson.previous, "age", 0) + 1
        model = Linear(C=10.0**-age).fit(lesson)
        object.__setattr__(model, "age", age)
        return model


@pytest.mark.parametrize("selector", [Linear(passes="dropout"), Warm()])
@pytest.mark.parametrize("name", ["margin", "random", "ceal"])
@pytest.mark.parametrize("initial", ["0", "6"])
def test_a_trial_goes_on_from_any_round_with_the_same_answer(name: str, initial: str, selector: Learner) -> None:
    trial = make_trial(name, initial, rounds=3, validation=8)
    whole = rounds_of(trial, KNN(3), selector)
    for done in range(len(whole) + 1):
        rest = rounds_of(trial, KNN(3), selector, history=tuple(round_.batch for round_ in whole[:done]))
        assert picks(rest) == picks(whole[done:])
        assert [round_.scores for round_ in rest] == [round_.scores for round_ in whole[done:]]


def test_the_seconds_of_its_fit_are_those_of_the_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))

    @dataclass(frozen=True)
    class Slow:
        gives = Linear().gives

        def fit(self, lesson: Lesson) -> Model:
            for _ in range(100):
                next(ticks)
            return Linear().fit(lesson)

    _, *rounds = rounds_of(make_trial("margin"), Linear(), Slow())
    assert all(100 < round_.select_s < 120 and round_.fit_s < 20 for round_ in rounds)
    _, *rounds = rounds_of(make_trial("random"), Linear(), Slow())
    assert all(round_.select_s < 20 for round_ in rounds)


# In a grid


def grid(*learners: Any, **changes: Any) -> Any:
    return {"learners": list(learners), "strategies": ["random", "margin", "badge"], **changes}


def test_its_label_says_both_and_its_trials_are_others(tmp_path: Path) -> None:
    entries = ("knn", {"name": "knn", "selector": "linear"}, {"name": "knn", "selector": {"name": "linear", "C": 0.1}})
    path = write_grid(tmp_path / "grid.yaml", **grid(*entries))
    study = resolve(parse(path.read_text(encoding="utf-8"), "grid.yaml"))
    labels = ["knn", "linear -> knn", "linear(C=0.1) -> knn"]
    assert list(dict.fromkeys(trial.learner.label for trial in study.trials)) == labels
    assert {trial.learner.name for trial in study.trials} == {"knn"}
    for ids in ({trial.trial_id for trial in study.trials}, {trial.start_id for trial in study.trials}):
        assert len(ids) in {len(study.trials), 2 * len(labels)}  # of a start: by learner and budget, the bound's too
    lacking = {trial.learner.label for trial, _ in study.unsupported}
    assert lacking == {"knn"}


def test_reasons_name_the_selector(tmp_path: Path) -> None:
    seeing = {"name": "mlp", "sees": "images"}
    entries = ({"name": "linear", "selector": "svm"}, {"name": "linear", "selector": seeing})
    said = run(write_grid(tmp_path / "grid.yaml", **grid(*entries)), tmp_path / "out", "--dry-run")
    assert said.status == 0
    assert "badge needs hidden, probabilities; selector svm gives scores" in said.out
    assert "mlp(sees=images) needs images; wine has none" in said.out
    assert "linear gives" not in said.out


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"name": "knn", "selector": "liner"}, "selector: unknown learner 'liner'; did you mean 'linear'?"),
        ({"name": "knn", "selector": {"name": "linear", "c": 1.0}}, "selector.c: unknown parameter of 'linear'"),
        ({"name": "knn", "selector": None}, "selector: expected the name of a learner, or {name: ..., parameter: ...}"),
        ({"name": "knn", "selector": "knn"}, "selector: knn chooses for itself; leave it out"),
        (
            {"name": "knn", "selector": {"name": "svm", "selector": "linear"}},
            "selector.selector: a selector chooses for itself; leave it out",
        ),
    ],
)
def test_a_selector_that_is_none_is_one_line(own_folder: Path, entry: Any, line: str) -> None:
    write_grid(Path("grid.yaml"), **grid(entry))
    with nothing_written():
        said = run(Path("grid.yaml"), "out")
    assert said.status == 2
    assert f"learners[0].{line}" in said.err
    assert said.err.count("\n") == 1


def test_a_run_names_what_selected_and_goes_on(tmp_path: Path) -> None:
    """Its versions and citations are in the manifest, and a replay of it takes no selector."""
    path = write_grid(tmp_path / "grid.yaml", **grid({"name": "svm", "selector": "linear"}))
    assert run(path, tmp_path / "out").status == 0
    store = RunStore.open(tmp_path / "out")
    assert {"learner linear", "learner svm"} <= store.manifest["versions"].keys()
    assert set(store.rounds()["learner"]) == {"linear -> svm"}
    wanted = "{name: knn, selector: linear}"
    said = invoke("replay", tmp_path / "out", "--learner", wanted, "--out", tmp_path / "r")
    assert said.status == 2
    assert "--learner: the rows are chosen already" in said.err
    said = invoke(
        "replay", tmp_path / "out", "--learner", "knn", "--out", tmp_path / "r", "--engine", "inline", "--mlflow", "off"
    )
    assert said.status == 0
    assert set(RunStore.open(tmp_path / "r").rounds()["learner"]) == {"linear -> svm -> knn"}

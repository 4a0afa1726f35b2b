"""What a grid says of learners beside their parameters: settings to be tuned, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import TINY, invoke, nothing_written, run, write_grid

from albench.benchmark.grid.document import GridError
from albench.benchmark.grid.grid import Grid, parse
from albench.benchmark.grid.study import resolve
from albench.benchmark.grid.tuned import Tuned
from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear

C: dict[str, Any] = {"C": [0.01, 1, 10.0]}


def grid(*learners: Any, **changes: Any) -> Grid:
    return parse(yaml.safe_dump({**TINY, "learners": list(learners), **changes}), "grid.yaml")


def tuned(name: str = "linear", /, **tune: Any) -> dict[str, Any]:
    return {"name": name, "tune": tune}


@pytest.mark.parametrize(
    ("said", "value", "label"),
    [
        (tuned(**C), Tuned((Linear(0.01), Linear(1), Linear(10.0)), ("C",)), "linear(C=0.01|1|10.0)"),
        (
            tuned("knn", k=[1, 5], folds=3, when="once"),
            Tuned((KNN(1), KNN(5)), ("k",), folds=3, once=True),
            "knn(k=1|5, 3 folds, once)",
        ),
        (
            {"name": "linear", "passes": "dropout", "tune": {"C": [1.0, 2.0], "p": [0.1, 0.2]}},
            Tuned(tuple(Linear(C, "dropout", p) for C in (1.0, 2.0) for p in (0.1, 0.2)), ("C", "p")),
            "linear(passes=dropout, C=1.0|2.0, p=0.1|0.2)",
        ),
    ],
)
def test_a_tuned_learner_is_built_and_named_by_all_that_is_said(said: Any, value: Tuned, label: str) -> None:
    (choice,) = grid(said).learners
    assert choice.value == value
    assert choice.part.label == label
    assert choice.part.name == said["name"]


def test_a_policy_is_an_identity_and_a_number_written_otherwise_is_none() -> None:
    several = [
        "linear",
        tuned(**C),
        tuned(C=[0.01, 1]),
        tuned(C=[1, 0.01]),
        tuned(**C, folds=3),
        tuned(**C, when="once"),
        {"name": "knn", "selector": tuned(**C)},
    ]
    trials = resolve(grid(*several)).trials
    assert len({trial.trial_id for trial in trials}) == len(trials)
    assert len({trial.start_id for trial in trials}) == len(trials)  # one strategy
    same = [resolve(grid(tuned(C=[0.01, one]))).trials[0].trial_id for one in (1, 1.0)]
    assert same[0] == same[1]
    (choice,) = grid(tuned(**C)).learners
    assert json.loads(choice.part.params)["tune"]["candidates"] == [{"C": 0.01}, {"C": 1.0}, {"C": 10.0}]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (tuned(c=[1.0]), "learners[0].tune.c: unknown parameter of 'linear'; legal: C, passes, p"),
        (tuned(C=["x", 1.0]), "learners[0].tune.C: expected a number, got 'x'"),
        (tuned(C=[1.0, -1.0]), "learners[0].tune: linear: C is -1.0; legal: a number above 0"),
        (tuned(C=[1, 1.0]), "learners[0].tune: duplicate: linear is among the settings already"),
        (tuned(C=1.0), "learners[0].tune.C: expected a list with at least one value, got 1.0"),
        (tuned(C=[]), "learners[0].tune.C: expected a list with at least one value, got []"),
        (tuned(), "learners[0].tune: no parameter with values to choose from; legal: C, passes, p"),
        ({"name": "linear", "tune": "C"}, "learners[0].tune: expected a mapping (parameter: list of values), got 'C'"),
        (tuned(**C, by="luck"), "learners[0].tune.by: expected 'cross-validation' or 'validation', got 'luck'"),
        (tuned(**C, folds=1), "learners[0].tune.folds: expected a number of at least 2, got 1"),
        (tuned(**C, when="now"), "learners[0].tune.when: expected 'every-round' or 'once', got 'now'"),
        (
            {"name": "linear", "C": 1.0, "tune": C},
            "learners[0].tune.C: C is 1.0 besides; leave out one of the two",
        ),
        (
            tuned("mlp", sees=["images", "embedding"]),
            "learners[0].tune.sees: what a learner sees is no setting to be tuned; make it two learners",
        ),
        (tuned("knn", k=list(range(1, 102))), "learners[0].tune: 101 settings; legal: up to 100"),
        (tuned("liner", C=[1.0]), "learners[0]: unknown learner 'liner'; did you mean 'linear'?"),
        (
            tuned(**C, by="validation"),
            "budgets.low: linear(C=0.01|1|10.0, by validation) needs a validation set (validation: 20, say)",
        ),
        (
            {"name": "knn", "selector": tuned(**C, by="validation")},
            "budgets.low: linear(C=0.01|1|10.0, by validation) needs a validation set (validation: 20, say)",
        ),
    ],
)
def test_mistakes_are_one_line_each(own_folder: Path, said: Any, line: str) -> None:
    write_grid(Path("grid.yaml"), learners=[said])
    with nothing_written():
        told = run(Path("grid.yaml"), "out")
    assert told.status == 2
    assert told.err.startswith(f"error: grid.yaml: {line}")
    assert told.err.count("\n") == 1


def test_a_budget_with_a_validation_set_is_all_that_it_takes() -> None:
    budgets = {"low": {"initial": 6, "query": 3, "rounds": 1, "validation": 9}}
    assert grid(tuned(**C, by="validation"), budgets=budgets).learners
    with pytest.raises(GridError, match=r"budgets\.high"):
        grid(tuned(**C, by="validation"), budgets=budgets | {"high": {"initial": 9, "query": 3, "rounds": 1}})


def test_a_replay_may_be_tuned(tmp_path: Path) -> None:
    assert run(write_grid(tmp_path / "grid.yaml"), tmp_path / "out").status == 0
    to = ("--engine", "inline", "--mlflow", "off", "--out", tmp_path / "r")
    said = invoke("replay", tmp_path / "out", "--learner", "{name: knn, tune: {k: [1, 3], by: validation}}", *to)
    assert (said.status, "budgets.low: knn(k=1|3, by validation) needs a validation set" in said.err) == (2, True)
    assert invoke("replay", tmp_path / "out", "--learner", "{name: knn, tune: {k: [1, 3]}}", *to).status == 0

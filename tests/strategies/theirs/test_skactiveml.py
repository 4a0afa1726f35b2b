"""scikit-activeml's strategies by name: in a grid, on the command line, in a run and its report."""

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import invoke, run, write_grid
from support.queries import cloud, query, random_passes, random_probs
from support.trials import make_pool, make_trial

from albench.benchmark.conformance import contract
from albench.benchmark.conformance.calls import NonConformanceError
from albench.benchmark.grid.params import Choice, choose
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import run_trial
from albench.benchmark.registry import MARKS, marks_of, needs_of, strategies
from albench.results.record.store import RunStore
from albench.strategies.theirs import skactiveml

pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed (pip install -e '.[test]')")


def chosen(said: object) -> Choice:
    problems: list[str] = []
    choice = choose(strategies, said, "strategies[0]", problems)
    assert choice is not None, problems
    return choice


def refused(said: object) -> list[str]:
    problems: list[str] = []
    assert choose(strategies, said, "strategies[0]", problems) is None
    return problems


def test_a_name_is_a_class_of_theirs_and_its_parameters_are_those_of_the_constructor() -> None:
    plain = chosen("skactiveml:MaxHerding")
    other = chosen({"name": "skactiveml:MaxHerding", "metric_dict": {"gamma": 2.0}})
    assert (plain.part.name, plain.part.label) == ("skactiveml:MaxHerding", "skactiveml:MaxHerding")
    assert plain.part.params == '{"metric":"rbf","metric_dict":null,"normalize_samples":true}'
    assert other.part.label == "skactiveml:MaxHerding(metric_dict={'gamma': 2.0})"
    assert other.part.params == '{"metric":"rbf","metric_dict":{"gamma":2.0},"normalize_samples":true}'
    assert plain.part.version == other.part.version >= 1_010_001
    assert chosen("skactiveml:Falcun:3").value == chosen({"name": "skactiveml:Falcun", "gamma": 3}).value


def test_what_is_wrong_is_one_line() -> None:
    legal = ", ".join(f"skactiveml:{name}" for name in skactiveml._members())
    assert refused("skactiveml:CoreSat") == [
        "strategies[0]: unknown strategy 'skactiveml:CoreSat'; did you mean 'skactiveml:CoreSet'? legal: " + legal
    ]
    assert refused("skactiveml")[0].endswith(legal)
    assert refused("skactivml:CoreSet")[0].startswith(
        "strategies[0]: unknown strategy 'skactivml'; did you mean 'skactiveml:*'?"
    )
    assert refused("skactiveml:FourDs") == [
        "strategies[0]: skactiveml:FourDs is unsupported: it asks for scikit-activeml's own mixture model"
    ]
    assert refused({"name": "skactiveml:Falcun", "gama": 3}) == [
        "strategies[0].gama: unknown parameter of 'skactiveml:Falcun'; did you mean 'gamma'? legal: gamma"
    ]
    assert refused({"name": "skactiveml:Falcun", "gamma": "high"}) == [
        "strategies[0].gamma: expected a whole number or a number, got 'high'"
    ]
    assert refused({"name": "skactiveml:GreedyBALD", "passes": 1}) == [
        "strategies[0]: skactiveml:GreedyBALD: passes is 1; it must be at least 2"
    ]


def test_every_class_of_theirs_can_be_asked_or_says_why_not() -> None:
    from skactiveml import pool
    from skactiveml.base import SingleAnnotatorPoolQueryStrategy

    classes = {name for name in pool.__all__ if isinstance(getattr(pool, name), type)}
    assert classes == {name for name in classes if issubclass(getattr(pool, name), SingleAnnotatorPoolQueryStrategy)}
    assert classes == {*skactiveml.WAYS, *skactiveml.NO_WAY}
    for name in skactiveml._members():
        plugin = strategies.get(f"skactiveml:{name}")
        assert plugin.summary.endswith(", as scikit-activeml has it."), plugin.summary
        assert plugin.cite.endswith("JMLR 27(184), 2026")
        assert plugin.cite.count(";") >= (name != "RandomSampling")
        assert (plugin.family, marks_of(plugin.cls())) == ("theirs", ("theirs",))


@pytest.mark.parametrize("name", skactiveml._members())
def test_every_class_of_theirs_buys_a_batch(name: str) -> None:
    plugin = strategies.get(f"skactiveml:{name}")
    pool = make_pool(30 if name == "MonteCarloEER" else 60)  # which fits the learner again for each row and class
    rounds = run_trial(make_trial(f"skactiveml:{name}", rounds=1), pool, plugin.cls(), Linear(passes="laplace"))
    assert [round_.bought_by for round_ in rounds] == ["initial", "strategy"]


@pytest.mark.parametrize("name", ["Clue", "DropQuery", "GreedyBALD", "TypiClust", "UncertaintySampling"])
def test_a_rule_is_the_same_in_another_process(name: str) -> None:
    rule = strategies.get(f"skactiveml:{name}").cls()
    for again in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):  # noqa: S301 - made here
        assert again == rule
        assert type(again) is type(rule)
        assert needs_of(again) == needs_of(rule) > frozenset() or name == "TypiClust"


def test_they_are_handed_our_model_and_our_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    import skactiveml.pool

    given: dict[str, Any] = {}

    def listening(self: Any, **how: Any) -> list[int]:
        given.update(how, seed=self.random_state)
        return [1, 5]

    points, probs, passes = cloud(0, 12), random_probs(0, 12, 3), random_passes(0, 4, 12)
    asked = query(points, 2, [4, 7], scores=probs, passes=passes)
    monkeypatch.setattr(skactiveml.pool.ContrastiveAL, "query", listening)
    picks = strategies.get("skactiveml:ContrastiveAL").cls().select(asked)
    assert (picks.dtype, picks.tolist(), given["batch_size"]) == (np.int64, [1, 5], 2)
    assert given["candidates"].tolist() == asked.unlabelled.tolist()
    assert np.flatnonzero(~np.isnan(given["y"])).tolist() == [4, 7]
    assert given["y"][[4, 7]].tolist() == asked.labels.tolist()
    assert given["fit_clf"] is False
    said, hidden = given["clf"].predict_proba(given["X"][[7, 0]])
    assert np.allclose(said, probs[[7, 0]])
    assert np.array_equal(hidden, points[[7, 0]])
    first = given["seed"]

    monkeypatch.setattr(skactiveml.pool.GreedyBALD, "query", listening)
    strategies.get("skactiveml:GreedyBALD").cls(passes=4).select(asked)
    assert given["seed"] != first  # the next draw of the query's generator
    answers = [member.predict_proba(given["X"][asked.unlabelled]) for member in given["ensemble"]]
    assert np.allclose(answers, passes[:, asked.unlabelled])


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_folder")
def test_a_run_marks_them_and_ranks_them() -> None:
    of_theirs = {"name": "skactiveml:TypiClust", "k": 3}
    grid = write_grid(Path("grid.yaml"), strategies=["random", "skactiveml:CoreSet", of_theirs])
    said = run(grid, "out")
    assert said.status == 0, said.err
    manifest, labels = RunStore.open(Path("out")).manifest, ["skactiveml:CoreSet", "skactiveml:TypiClust(k=3)"]
    assert manifest["marks"] == {label: ["theirs"] for label in labels}
    assert manifest["libraries"]["scikit-activeml"]
    assert "Sener" in manifest["citations"]["skactiveml:CoreSet"]
    report = Path("out/report/report.md").read_text(encoding="utf-8")
    assert all(f"{label} § |" in report for label in labels)
    assert f"\n§ {MARKS['theirs']}.\n" in report


def test_list_and_check_know_them() -> None:
    said = invoke("list", "strategies")
    assert "skactiveml:CoreSet " in said.out
    one = invoke("list", "strategies", "skactiveml:GreedyBALD").out.splitlines()
    assert "  needs: passes" in one
    assert f"  marked: it {MARKS['theirs']}" in one
    assert "  parameter passes: int, default 10" in one
    wrong = invoke("check", "skactiveml:CoreSat")
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err.startswith(
        "error: unknown strategy or learner 'skactiveml:CoreSat'; did you mean 'skactiveml:CoreSet'?"
    )


def test_without_the_library_it_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "skactiveml", None)
    monkeypatch.delitem(sys.modules, "skactiveml.pool")
    monkeypatch.setattr(strategies, "_made", {})
    remedy = "scikit-activeml is not installed; pip install 'albench[skactiveml]'"
    for arguments in (["check", "skactiveml:CoreSet"], ["list", "strategies", "skactiveml:CoreSet"]):
        said = invoke(*arguments)
        assert (said.status, said.out, said.err) == (2, "", f"error: {remedy}\n")
    grid = write_grid(tmp_path / "grid.yaml", strategies=["random", "skactiveml:CoreSet"])
    said = run(grid, tmp_path / "out")
    assert (said.status, said.err) == (2, f"error: {grid}: strategies[1]: {remedy}\n")
    lines = invoke("list", "strategies").out.splitlines()
    assert lines[-1].split(maxsplit=1) == ["skactiveml:*", remedy]


# --- as the contract sees them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("CoreSet", ""),
        ("UncertaintySampling", ""),
        ("Badge", "distinct rows of 40"),
        ("BatchBALD", "distinct rows of 7"),
        ("TypiClust", "ConvergenceWarning"),
    ],
)
def test_what_the_contract_says_of_their_batches(name: str, found: str) -> None:
    """As of 1.0.1; where they answer with a row twice the trial fails, and says so."""
    rule = strategies.get(f"skactiveml:{name}").cls()
    if found:
        with pytest.raises(NonConformanceError, match=found):
            contract.exact_batches(rule, needs_of(rule))
    else:
        contract.exact_batches(rule, needs_of(rule))

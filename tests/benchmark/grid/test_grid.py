"""From the text of a grid file to a checked grid, and on to its trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.commands import TINY

from albench.benchmark import registry
from albench.benchmark.grid.document import GridError
from albench.benchmark.grid.grid import DEFAULTS, KEYS, REQUIRED, Grid, load, parse
from albench.benchmark.grid.params import choose, describe
from albench.benchmark.grid.study import lacking, preview, resolve
from albench.benchmark.types import FULL_DATA, Budget, Count, Resources, Segment
from albench.strategies.coverage.typiclust import TypiClust
from albench.strategies.oracle.boss_oracle import BossOracle
from albench.strategies.uncertainty.margin import Margin

ROOT = Path(__file__).parents[3]


def grid(*overrides: str, **changes: Any) -> Grid:
    return parse(yaml.safe_dump({**TINY, **changes}), "grid.yaml", overrides)


def test_every_key_is_required_or_has_a_default() -> None:
    assert sorted((*REQUIRED, *DEFAULTS)) == sorted(KEYS)
    found = parse(yaml.safe_dump({key: TINY[key] for key in REQUIRED}), "grid.yaml")
    assert [choice.part.label for choice in found.learners] == ["linear"]
    assert found.seeds == tuple(range(10))
    assert found.resources == {"linear": Resources()}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_grids_that_come_with_albench_are_sound(path: Path) -> None:
    assert load(path).name == path.stem


@pytest.mark.parametrize(
    ("entry", "budget"),
    [
        ({"query": 3, "rounds": 2}, Budget("b", Count(0), (Segment(Count(3), 2),))),
        (
            {"initial": "2/class", "initial_by": "stratified", "query": "1/class", "rounds": "all"},
            Budget("b", Count(2, per_class=True), (Segment(Count(1, per_class=True), None),), "stratified"),
        ),
        (
            {"initial": "5", "segments": [{"query": 20, "rounds": 5}, {"query": "100", "rounds": 9}]},
            Budget("b", Count(5), (Segment(Count(20), 5), Segment(Count(100), 9))),
        ),
    ],
)
def test_schedules(entry: dict[str, Any], budget: Budget) -> None:
    assert grid(budgets={"b": entry}).budgets == (budget,)


def test_seeds_are_a_number_or_a_list() -> None:
    assert grid(seeds=3).seeds == (0, 1, 2)
    assert grid(seeds=[7, 3]).seeds == (7, 3)


def test_resources_of_a_learner_replace_those_of_all() -> None:
    said = {"num_cpus": 2, "timeout": 60, "learners": {"knn": {"num_cpus": 0.5}, "svm": {"timeout": None}}}
    assert grid(learners=["linear", "knn", "svm"], resources=said).resources == {
        "linear": Resources(2, 0, 60),
        "knn": Resources(0.5, 0, 60),
        "svm": Resources(2, 0, None),
    }


def test_a_share_of_a_gpu_that_is_to_be_measured_begins_as_a_whole_one() -> None:
    said = {"num_gpus": "auto", "learners": {"knn": {"num_gpus": 0.5}, "svm": {"num_gpus": 0}}}
    assert grid(learners=["linear", "knn", "svm"], resources=said).resources == {
        "linear": Resources(num_gpus=1.0, auto=True),
        "knn": Resources(num_gpus=0.5),
        "svm": Resources(),
    }


@pytest.mark.parametrize(
    ("said", "label", "params"),
    [
        ("pca", "pca", '{"dims":32,"scale":"auto","whiten":false}'),
        ({"name": "pca", "dims": 32}, "pca", '{"dims":32,"scale":"auto","whiten":false}'),
        ("pca:8", "pca(dims=8)", '{"dims":8,"scale":"auto","whiten":false}'),
        (
            {"name": "pca", "whiten": True, "dims": 8},
            "pca(dims=8, whiten=True)",
            '{"dims":8,"scale":"auto","whiten":true}',
        ),
        ("file:~/my/features.npz", "file:features.npz", "{}"),  # paths of this machine are no identity
    ],
)
def test_how_a_plugin_is_named(said: object, label: str, params: str) -> None:
    problems: list[str] = []
    choice = choose(registry.encoders, said, "embeddings[0]", problems)
    assert choice is not None
    assert (choice.part.label, choice.part.params, problems) == (label, params, [])


SEVERAL = {"name": "boss-oracle", "rules": ["margin", {"name": "typiclust", "min_size": 2}], "candidates": 3}


def test_a_parameter_may_be_several_rules() -> None:
    problems: list[str] = []
    choice = choose(registry.strategies, SEVERAL, "strategies[0]", problems)
    assert choice is not None
    assert problems == []
    assert choice.value == BossOracle((Margin(), TypiClust(min_size=2)), candidates=3)
    assert choice.part.label == "boss-oracle(rules=margin+typiclust(min_size=2), candidates=3)"
    rules = json.loads(choice.part.params)["rules"]
    assert [(name, version) for name, _, version in rules] == [("margin", 1), ("typiclust", 2)]
    assert [params.get("min_size") for _, params, _ in rules] == [None, 2]
    plain = choose(registry.strategies, "boss-oracle", "strategies[0]", problems)
    assert plain is not None
    assert plain.part.label == "boss-oracle"
    assert "parameter rules: tuple[Strategy, ...], default random+margin+badge+coreset+typiclust" in "\n".join(
        describe(registry.strategies.get("boss-oracle"))
    )


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("margin", "strategies[0].rules: expected a list with at least one entry, got 'margin'"),
        ([], "strategies[0].rules: expected a list with at least one entry, got []"),
        (["random", "margni"], "strategies[0].rules[1]: unknown strategy 'margni'; did you mean 'margin'? legal: "),
        ([{"name": "margin", "k": 1}], "strategies[0].rules[0].k: unknown parameter of 'margin'"),
        (["random", "galaxy"], "strategies[0]: boss-oracle: a rule that has labels revealed cannot propose a batch"),
    ],
)
def test_each_of_several_rules_is_checked(rules: object, problem: str) -> None:
    problems: list[str] = []
    assert choose(registry.strategies, SEVERAL | {"rules": rules}, "strategies[0]", problems) is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_whole_number_is_a_float_where_one_is_asked_for() -> None:
    one, other = (choose(registry.strategies, {"name": "probcover", "purity": p}, "", []) for p in (1, 1.0))
    assert one is not None
    assert other is not None
    assert one.part == other.part


def test_overrides_are_part_of_the_resolved_grid() -> None:
    found = grid("seeds=2", "budgets.low.rounds=all", "strategies=[margin, coreset]", "resources.num_cpus=2")
    assert found.seeds == (0, 1)
    assert found.budgets[0].segments[0].rounds is None
    assert found.resources["linear"].num_cpus == 2
    again = parse(found.text, "again.yaml")
    assert (again.seeds, again.budgets, again.resources) == (found.seeds, found.budgets, found.resources)
    assert [choice.part for choice in again.strategies] == [choice.part for choice in found.strategies]


def test_a_grid_error_holds_one_message_a_line() -> None:
    with pytest.raises(GridError) as caught:
        grid(seeds=0, name="")
    assert str(caught.value).splitlines() == caught.value.messages
    assert len(caught.value.messages) == 2
    assert all(message.startswith("grid.yaml: ") for message in caught.value.messages)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.sampled_from(["wine", "pca:x", "1/class", "all", "random", "", "name", "knn", "3"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "query", "rounds", "initial", "segments", "learners", "k", "dims", "low", "num_cpus"]
            )
            | st.integers(0, 1),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "extra"]), anything, max_size=4))
def test_whatever_a_file_says_it_is_a_grid_or_one_line_per_problem(changes: dict[str, Any]) -> None:
    messages: list[str] = []
    try:
        found = grid(**changes)
    except GridError as error:
        messages = error.messages
    assert messages or all((found.datasets, found.embeddings, found.learners, found.strategies, found.budgets))
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert message.startswith("grid.yaml: ")
        assert "\n" not in message
        assert "Input should" not in message  # the words of pydantic are for programmers


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_exception_of_yaml(text: str) -> None:
    with pytest.raises(GridError) as caught:
        parse(text, "grid.yaml")
    assert all("\n" not in message for message in caught.value.messages)


# --- from a grid to its trials ---------------------------------------------------------------------------------------


def test_the_trials_are_the_product_of_the_lists_and_a_bound_each() -> None:
    study = resolve(
        grid(embeddings=["raw", "pca"], learners=["linear", "svm"], strategies=["random", "entropy"], seeds=3)
    )
    bounds = [job.trial for job in study.jobs if job.trial.budget.name == FULL_DATA]
    assert len(bounds) == 2 * 2
    assert all(study.total(trial) == 124 for trial in bounds)
    assert len(study.jobs) == 4 + 2 * 2 * 3 + 2 * 3
    assert {(t.learner.name, t.strategy.name) for t, _ in study.unsupported} == {("svm", "entropy")}
    assert len(study.unsupported) == 2 * 3
    assert len({trial.trial_id for trial in study.trials}) == len(study.trials) == 28
    assert {study.total(t) for t in study.trials} == {124, 9}


def test_what_an_encoder_cannot_see_beside_other_data_is_unsupported() -> None:
    study = resolve(grid(datasets=["digits", "wine"], embeddings=["raw", "simclr"], seeds=1))
    why = "simclr is for images, not for table (dataset 'wine')"
    assert {(t.dataset.name, t.embedding.name, reason) for t, reason in study.unsupported} == {("wine", "simclr", why)}
    run = {(job.trial.dataset.name, job.trial.embedding.name) for job in study.jobs}
    assert run == {("digits", "raw"), ("digits", "simclr"), ("wine", "raw")}
    with pytest.raises(GridError) as caught:
        resolve(grid(datasets=["wdbc", "wine"], embeddings=["raw", "simclr"]))
    assert [m.split(": ", 1)[1] for m in caught.value.messages] == [
        f"embeddings[1]: simclr is for images, not for table (dataset {name!r})" for name in ("wdbc", "wine")
    ]


def test_a_resampled_dataset_is_another_pool_for_each_seed() -> None:
    study = resolve(grid(datasets=[{"name": "wine", "split": "resampled"}], seeds=[4, 9]))
    prints = {job.trial.seed: job.trial.fingerprint for job in study.jobs}
    assert set(prints) == {4, 9}
    assert prints[4] != prints[9]
    assert set(study.sources) == set(prints.values())
    one, other = (study.sources[prints[seed]].data.split.train[:] for seed in (4, 9))
    assert not np.array_equal(one, other)


def test_only_chooses_by_name_or_label() -> None:
    found = grid(learners=["knn", {"name": "knn", "k": 3}], seeds=2)
    by_name = resolve(found, {"learner": ["knn"]})
    by_label = resolve(found, {"learner": ["knn(k=3)"], "seed": ["1"]})
    assert all(map(by_name.chosen, by_name.trials))
    chosen = [trial for trial in by_label.trials if by_label.chosen(trial)]
    assert {(trial.learner.label, trial.seed) for trial in chosen} == {("knn(k=3)", 1)}


def test_the_preview_of_a_schedule() -> None:
    schedule = {"initial": 4, "segments": [{"query": 10, "rounds": 3}, {"query": "20/class", "rounds": "all"}]}
    lines = preview(resolve(grid(budgets={"b": schedule})))
    assert "  budget b on wine: 4 labels, then 3 x 10 + 1 x 60 + 1 x 30, of 124" in lines


@pytest.mark.parametrize(
    ("learner", "strategy", "remedy"),
    [
        ("linear", "bald", " (passes: dropout makes linear give them)"),
        ("mlp", "bald", " (passes: dropout makes mlp give them)"),
        ("svm", "bald", ""),
        ("svm", "coreset", " (space: embedding needs none)"),
    ],
)
def test_what_a_learner_does_not_give_comes_with_the_remedy_where_there_is_one(
    learner: str, strategy: str, remedy: str
) -> None:
    problems: list[str] = []
    rule = choose(registry.strategies, strategy, "s", problems)
    model = choose(registry.learners, learner, "l", problems)
    assert rule is not None
    assert model is not None
    need = "passes" if strategy == "bald" else "hidden"
    gives = ", ".join(sorted(model.value.gives))
    assert lacking(rule, model) == f"{strategy} needs {need}; {learner} gives {gives}{remedy}"

"""What a user gets wrong, through the real command line: one line per problem, all at once, and nothing is written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support.commands import TINY, nothing_written, refused, run, write_grid

from albench.benchmark import registry

pytestmark = pytest.mark.usefixtures("own_folder")

DATASETS, ENCODERS, LEARNERS, STRATEGIES = (
    ", ".join(r.legal()) for r in (registry.datasets, registry.encoders, registry.learners, registry.strategies)
)
COUNT = "a number of labels (at least {}), or a number per class (such as 5/class)"
KEYS = "name, datasets, embeddings, learners, strategies, budgets, seeds, resources, keep"


# --- the grid file ---------------------------------------------------------------------------------------------------

B = {"initial": 0, "query": 1, "rounds": 2}

WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown names": (
        {"datasets": ["wina"], "embeddings": ["raww"], "learners": ["linera"], "strategies": ["typiclus", "xyz"]},
        [
            f"datasets[0]: unknown dataset 'wina'; did you mean 'wine'? legal: {DATASETS}",
            f"embeddings[0]: unknown encoder 'raww'; did you mean 'raw'? legal: {ENCODERS}",
            f"learners[0]: unknown learner 'linera'; did you mean 'linear'? legal: {LEARNERS}",
            f"strategies[0]: unknown strategy 'typiclus'; did you mean 'typiclust'? legal: {STRATEGIES}",
            f"strategies[1]: unknown strategy 'xyz'; legal: {STRATEGIES}",
        ],
    ),
    "unknown keys": (
        {
            "stratgies": ["margin"],
            "datasets": [{"name": "wine", "tset": 0.3}],
            "budgets": {"b": B | {"round": 2}, "s": {"segments": [{"query": 1, "rounds": 1, "by": "me"}]}},
            "resources": {"num_cpu": 1, "learners": {"linear": {"num_gpu": 1}}},
        },
        [
            f"stratgies: unknown key; did you mean 'strategies'? legal: {KEYS}",
            "datasets[0].tset: unknown parameter of 'wine'; did you mean 'test'? legal: split, test, per_class,"
            " long_tail, step, noise, noise_kind",
            "budgets.b.round: unknown key; did you mean 'rounds'? legal: initial, initial_by, validation,"
            " query, rounds, segments",
            "budgets.s.segments[0].by: unknown key; legal: query, rounds",
            "resources.learners.linear.num_gpu: unknown key; did you mean 'num_gpus'?"
            " legal: num_cpus, num_gpus, timeout",
            "resources.num_cpu: unknown key; did you mean 'num_cpus'? legal: num_cpus, num_gpus, timeout, learners",
        ],
    ),
    "no learner of the grid": (
        {"resources": {"learners": {"lineer": {"num_cpus": 2}}}},
        ["resources.learners.lineer: no learner of this grid; did you mean 'linear'? legal: linear"],
    ),
    "wrong types": (
        {
            "name": 3,
            "datasets": "wine",
            "embeddings": [{"name": "pca", "dims": "8"}, {"name": "pca", "dims": True}, 4],
            "learners": {"name": "linear"},
            "strategies": [{"nam": "random"}],
            "budgets": [1],
            "seeds": "3",
            "resources": {"num_cpus": "1", "num_gpus": -1, "timeout": 0, "learners": []},
        },
        [
            "name: expected text, got 3",
            "datasets: expected a list with at least one entry, got 'wine'",
            "embeddings[0].dims: expected a whole number, got '8'",
            "embeddings[1].dims: expected a whole number, got true",
            "embeddings[2]: expected the name of an encoder, or {name: ..., parameter: ...}, got 4",
            "learners: expected a list with at least one entry, got {'name': 'linear'}",
            "strategies[0]: expected the name of a strategy, or {name: ..., parameter: ...}, got {'nam': 'random'}",
            "budgets: expected a mapping (name: schedule) with at least one entry, got [1]",
            "seeds: expected a whole number or a list, got '3'",
            "resources.num_cpus: expected a number, got '1'",
            "resources.num_gpus: expected a number of at least 0 or 'auto', got -1",
            "resources.timeout: expected a number above 0, got 0",
            "resources.learners: expected a mapping (key: value), got []",
        ],
    ),
    "wrong types of a schedule": (
        {
            "budgets": {
                "a": {"initial": True, "query": 1.5, "rounds": True},
                "b": B | {"initial_by": "stratifed"},
                "c": None,
                "d": {"segments": 3},
                "e": {"segments": [3]},
                "": {"query": 7, "rounds": 7},
            },
            "seeds": [1, "a", True],
        },
        [
            f"budgets.a.initial: expected {COUNT.format(0)}, got true",
            f"budgets.a.query: expected {COUNT.format(1)}, got 1.5",
            "budgets.a.rounds: expected a whole number or 'all', got true",
            "budgets.b.initial_by: expected 'random' or 'stratified', got 'stratifed'",
            "budgets.c: expected a mapping (key: value), got nothing",
            "budgets.d.segments: expected a list, got 3",
            "budgets.e.segments[0]: expected a mapping (key: value), got 3",
            "budgets.: a budget needs a name",
            "seeds[1]: expected a whole number, got 'a'",
            "seeds[2]: expected a whole number, got true",
        ],
    ),
    "wrong values of parameters": (
        {"datasets": [{"name": "wine", "test": 1.5}, "folder"], "strategies": ["margin:3"], "embeddings": ["pca:x"]},
        [
            "datasets[0]: wine: test is 1.5; legal: a share of the rows, above 0 and below 1",
            "datasets[1]: 'folder' needs the parameter 'path'",
            "embeddings[0].dims: expected a whole number, got 'x'",
            "strategies[0]: 'margin' takes no parameters, got '3'",
        ],
    ),
    "missing keys": (
        dict.fromkeys(TINY),
        ["name: missing", "datasets: missing", "embeddings: missing", "strategies: missing", "budgets: missing"],
    ),
    "missing keys of a schedule": (
        {"budgets": {"a": {"query": 1}, "b": {}, "c": B | {"segments": [B]}, "d": {"segments": [{"query": 1}]}}},
        [
            "budgets.a: needs query and rounds, or segments (a list of them)",
            "budgets.b: needs query and rounds, or segments (a list of them)",
            "budgets.c.segments[0].initial: unknown key; legal: query, rounds",
            "budgets.d.segments[0].rounds: missing",
        ],
    ),
    "two ways to give a schedule": (
        {"budgets": {"b": {"query": 1, "segments": [{"query": 1, "rounds": 1}]}}},
        ["budgets.b: give either query and rounds, or segments"],
    ),
    "malformed counts": (
        {
            "budgets": {
                "a": {"initial": -3, "query": "1/klass", "rounds": 0},
                "b": {"query": 0, "rounds": -1},
                "c": {"query": "0/class", "rounds": "1/class"},
                "d": {"query": "1 / class", "rounds": "1e3"},
            },
            "seeds": "1/class",
        },
        [
            f"budgets.a.initial: expected {COUNT.format(0)}, got -3",
            f"budgets.a.query: expected {COUNT.format(1)}, got '1/klass'",
            "budgets.a.rounds: expected a number of at least 1 or 'all', got 0",
            f"budgets.b.query: expected {COUNT.format(1)}, got 0",
            "budgets.b.rounds: expected a number of at least 1 or 'all', got -1",
            f"budgets.c.query: expected {COUNT.format(1)}, got '0/class'",
            "budgets.c.rounds: expected a whole number or 'all', got '1/class'",
            f"budgets.d.query: expected {COUNT.format(1)}, got '1 / class'",
            "budgets.d.rounds: expected a whole number or 'all', got 1000.0",
            "seeds: expected a whole number or a list, got '1/class'",
        ],
    ),
    "duplicates": (
        {
            "datasets": ["wine", {"name": "wine", "test": 0.3}],
            "embeddings": ["pca", {"name": "pca", "dims": 32}, "pca:32", "pca:8"],
            "learners": ["knn", "linear", "knn"],
            "strategies": ["random", "margin", "random"],
            "budgets": {"a": B, "b": B | {"initial_by": "random"}, "c": {"segments": [{"query": 1, "rounds": 2}]}},
            "seeds": [1, 0, 1, 1],
        },
        [
            "datasets[1]: duplicate: 'wine' is in the list already",
            "embeddings[1]: duplicate: 'pca' is in the list already",
            "embeddings[2]: duplicate: 'pca' is in the list already",
            "learners[2]: duplicate: 'knn' is in the list already",
            "strategies[2]: duplicate: 'random' is in the list already",
            "budgets.b: duplicate: the same schedule as 'a'",
            "budgets.c: duplicate: the same schedule as 'a'",
            "seeds: duplicate: 1",
        ],
    ),
    "two files with one name": (
        {"datasets": ["arrays:a/x.npz", "arrays:b/x.npz"]},
        ["datasets[1]: another entry is called 'arrays:x.npz' in the tables too; rename one of the files"],
    ),
    "a reserved name": (
        {"budgets": {"full-data": B}},
        ["budgets.full-data: the name 'full-data' is reserved for the full-data bound"],
    ),
    "names that are no folder": (
        {"name": "../up"},
        [
            "name: '../up' cannot name a folder of results;"
            " legal: letters, digits and . _ + - , a letter or digit first, at most 60 in all"
        ],
    ),
    "empty lists": (
        {"datasets": [], "embeddings": [], "learners": [], "strategies": [], "budgets": {}, "seeds": []},
        [
            *(f"{k}: expected a list with at least one entry, got []" for k in list(TINY)[1:5]),
            "budgets: expected a mapping (name: schedule) with at least one entry, got {}",
            "seeds: expected a whole number or a list with at least one entry, got []",
        ],
    ),
    "no seeds": ({"seeds": 0}, ["seeds: expected a number of at least 1 or a list, got 0"]),
    "more than the pool": (
        {"budgets": {"big": {"initial": 100, "query": 5, "rounds": 5}, "c": {"query": "100/class", "rounds": 1}}},
        [
            "budgets.big: budget 'big' asks for 125 labels, the pool holds 124 (dataset 'wine')",
            "budgets.c: budget 'c' asks for 300 labels, the pool holds 124 (dataset 'wine')",
        ],
    ),
    "a scale for images": (
        {"embeddings": [{"name": "raw", "scale": "range"}, {"name": "pca", "scale": "rnge"}]},
        ["embeddings[1].scale: expected 'auto', 'range', 'standard' or 'none', got 'rnge'"],
    ),
    "a scale for images, on a table": (
        {"embeddings": [{"name": "raw", "scale": "range"}, {"name": "pca", "scale": "range"}]},
        [
            f"embeddings[{i}]: scale 'range' is for images, not for table; legal: auto, standard, none (dataset 'wine')"
            for i in (0, 1)
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_all_that_is_wrong_with_a_grid_is_said_at_once(case: str) -> None:
    changes, problems = WRONG[case]
    write_grid(Path("grid.yaml"), **copy.deepcopy(changes))
    assert refused() == problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f"grid.yaml: expected a mapping (key: value), got nothing; legal keys: {KEYS}"),
        ("[wine]", f"grid.yaml: expected a mapping (key: value), got ['wine']; legal keys: {KEYS}"),
        ("name: [g\nseeds: 3", "grid.yaml, line 2: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("name: g\n\tseeds: 3", "grid.yaml, line 2: while scanning for the next token, a tab; YAML is indented with"),
        ("name: g\nseeds: 1\nname: h", "grid.yaml, line 3: 'name' is given twice"),
        ("budgets:\n  a: {query: 1, rounds: 1, query: 2}", "grid.yaml, line 2: 'query' is given twice"),
        ("a: 1\n---\nb: 2", "grid.yaml, line 2: expected a single document in the stream, but found another document"),
        (
            "name: !!python/name:os.system",
            "grid.yaml, line 1: the tag 'tag:yaml.org,2002:python/name:os.system' does not",
        ),
        ("name: \x00", "grid.yaml, line 1: not YAML: unacceptable character #x0000"),
    ],
)
def test_what_is_not_a_grid_at_all(text: str, problem: str) -> None:
    Path("grid.yaml").write_text(text, encoding="utf-8")
    (line,) = refused()
    assert f"grid.yaml: {line}".startswith(problem) or line.startswith(problem)


def test_a_grid_file_that_cannot_be_read() -> None:
    write_grid(Path("my-grid.yaml"))
    missing = "No such file or directory"
    assert refused(grid="my-gird.yaml") == [f"{missing}; did you mean my-grid.yaml?"]
    assert refused(grid="nowhere/grid.yaml") == [missing]
    Path("latin").write_bytes(b"name: caf\xe9")
    assert refused(grid="latin") == ["not UTF-8 text (byte \\xe9 in line 1); save it as UTF-8"]


def test_a_process_ends_without_a_traceback(albench: Program) -> None:
    grid = write_grid(Path("grid.yaml"), strategies=["margni"], seeds=0)
    with nothing_written():
        status, out, err = albench.run("run", "--grid", grid)
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        f"error: grid.yaml: strategies[0]: unknown strategy 'margni'; did you mean 'margin'? legal: {STRATEGIES}",
        "error: grid.yaml: seeds: expected a number of at least 1 or a list, got 0",
    ]


# --- options ---------------------------------------------------------------------------------------------------------

WRONG_OPTIONS: dict[str, tuple[list[str], list[str]]] = {
    "--set without a value": (
        ["--set", "seeds", "--set", "=3", "--set", "a..b=3"],
        [
            f"--set {o}: expected KEY=VALUE, for instance seeds=3 or resources.num_cpus=2"
            for o in ("seeds", "=3", "a..b=3")
        ],
    ),
    "--set of a key that is not there": (
        ["--set", "sedes=3", "--set", "budgets.low.round=3"],
        [
            f"sedes: unknown key; did you mean 'seeds'? legal: {KEYS}",
            "budgets.low.round: unknown key; did you mean 'rounds'?"
            " legal: initial, initial_by, validation, query, rounds, segments",
        ],
    ),
    "--set below a value": (
        ["--set", "datasets.0=digits"],
        ["--set datasets.0=digits: datasets has no keys of its own; set it as a whole"],
    ),
    "--set to what is not YAML": (
        ["--set", "seeds=[1", "--set", "seeds=010"],
        [
            "--set seeds=[1, line 1: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
            "--set seeds=010, line 1: 010 is 8 in YAML 1.1; write 8, or '010' for text",
        ],
    ),
    "--set to a wrong value": (["--set", "seeds=two"], ["seeds: expected a whole number or a list, got 'two'"]),
    "--only of names that are not there": (
        ["--only", "strategy=randm,margin", "--only", "seed=7", "--only", "budget=low,lo"],
        [
            "--only strategy=randm: no strategy of this grid; did you mean 'random'? legal: random",
            "--only strategy=margin: no strategy of this grid; legal: random",
            "--only seed=7: no seed of this grid; legal: 0",
            "--only budget=lo: no budget of this grid; did you mean 'low'? legal: full-data, low",
        ],
    ),
    "a tracker's address": (
        ["--mlflow", "htp://there"],
        [
            "'htp://there' is no address of an MLflow tracker (SCHEME://...); did you mean 'http'?"
            " legal: sqlite, http, https, postgresql, mysql, mssql"
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG_OPTIONS)
def test_options_that_do_not_fit(case: str) -> None:
    write_grid(Path("grid.yaml"))
    options, problems = WRONG_OPTIONS[case]
    assert refused(*options) == problems
    if not case.startswith("a tracker"):
        assert refused("--dry-run", *options) == problems


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--only", "strat=random"], "unknown kind 'strat'; did you mean 'strategy'? legal: dataset, embedding"),
        (["--only", "strategy"], "'strategy': expected KIND=NAMES, for instance strategy=a,b"),
        (["--only", "seed=,"], "'seed=,': expected KIND=NAMES, for instance seed=a,b"),
        (["--engine", "rya"], "'rya' is not one of 'ray', 'inline'"),
        (["--retry", "done"], "'done' is not one of 'failed', 'timeout', 'oom'"),
        (["--workers", "0"], "0 is not in the range x>=1"),
        (["--out", "grid.yaml"], "Directory 'grid.yaml' is a file"),
    ],
)
def test_options_that_click_refuses(options: list[str], problem: str) -> None:
    write_grid(Path("grid.yaml"))
    with nothing_written():
        said = run(Path("grid.yaml"), "out", *options)
    assert (said.status, said.out) == (2, "")
    assert problem in said.err.splitlines()[-1]

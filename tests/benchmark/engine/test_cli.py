"""Every command of albench, as somebody types it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from conftest import Program, answer
from support.commands import invoke, nothing_written, run, write_grid

from albench.benchmark import registry
from albench.cli import LISTS, main

pytestmark = pytest.mark.usefixtures("own_folder")


def commands() -> Iterator[tuple[str, click.Command]]:
    yield "albench", main
    yield from main.commands.items()


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_explains_itself(name: str, command: click.Command) -> None:
    assert command.help
    lines = command.help.strip().splitlines()
    assert lines[0][0].isupper()
    assert command.help.strip().endswith(".")
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not undocumented
    said = invoke(*([] if name == "albench" else [name]), "--help")
    assert (said.status, said.err) == (0, "")
    for option in command.params:
        assert all(flag in said.out for flag in option.opts if flag.startswith("-"))
    assert said == invoke(*([] if name == "albench" else [name]), "-h")


def test_the_commands_are_those_of_the_manual() -> None:
    expected = "cache check embed import init list mlflow-sync new replay report run show status"
    assert sorted(main.commands) == expected.split()
    cache = main.commands["cache"]
    assert isinstance(cache, click.Group)
    assert sorted(cache.commands) == ["export", "import", "list", "remove"]


def test_the_version(albench: Program) -> None:
    assert albench.run("--version") == (0, f"albench, version {version('albench')}\n", "")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'numpy', 'pandas', 'ray', 'mlflow', 'torch', 'pyarrow', 'yaml', 'pydantic'}\n"
        "atexit.register(lambda: print(heavy & set(sys.modules)))\n"
        "from albench.cli import main\n"
        "main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["rnu"], "No such command 'rnu'."),
        (["run"], "Missing option '--grid'."),
        (["run", "--gird", "x"], "No such option '--gird'"),
        (["status"], "Missing argument 'DIRECTORY'."),
        (["status", "nowhere"], "Directory 'nowhere' does not exist."),
        (["report"], "DIRECTORIES are needed, or --literature"),
        (["report", "nowhere"], "Directory 'nowhere' does not exist."),
        (["mlflow-sync", "nowhere"], "Directory 'nowhere' does not exist."),
        (
            ["list", "plugins"],
            "'plugins' is not one of 'strategies', 'datasets', 'encoders', 'learners', 'embeddings', 'grids'.",
        ),
    ],
)
def test_what_click_refuses(arguments: list[str], problem: str) -> None:
    said = invoke(*arguments)
    assert (said.status, said.out) == (2, "")
    assert problem in said.err


# --- list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LISTS)
def test_list_has_one_line_each(kind: str) -> None:
    said = invoke("list", kind)
    assert (said.status, said.err) == (0, "")
    plugins: registry.Registry = getattr(registry, kind)
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[: len(plugins.names())]] == plugins.names()
    assert all(line.split(maxsplit=1)[1] == plugins.get(line.split()[0]).summary for line in lines)


@pytest.mark.parametrize(
    ("kind", "name", "lines"),
    [
        (
            "strategies",
            "probcover",
            [
                "probcover (version 3): Greedy cover of the pool by balls of radius delta: each pick covers the most"
                " rows not covered yet.",
                "  family: coverage",
                "  cite: Yehuda, Dekel, Hacohen and Weinshall, Active Learning Through a Covering Lens, NeurIPS 2022"
                " (arXiv 2205.11320)",
                "  parameter delta: float | None, default None",
                "  parameter purity: float, default 0.95",
            ],
        ),
        (
            "datasets",
            "wine",
            [
                "wine (version 1): 178 wines described by 13 chemical measurements, from 3 growers.",
                "  cite: Aeberhard and Forina (1991), Wine, UCI, doi:10.24432/C5PC7J",
                "  classes: 3",
                "  sizes: 124 train, 54 test; 13 features",
                "  licence: CC BY 4.0; comes with scikit-learn",
                "  parameter split: Literal['fixed', 'resampled'], default 'fixed'",
                "  parameter test: float, default 0.3",
                "  parameter per_class: int | None, default None",
                "  parameter long_tail: float, default 1.0",
                "  parameter step: float, default 1.0",
                "  parameter noise: float, default 0.0",
                "  parameter noise_kind: Literal['symmetric', 'asymmetric'], default 'symmetric'",
            ],
        ),
        (
            "learners",
            "knn",
            [
                "knn (version 2): k-nearest-neighbour vote in Euclidean distance; of rows equally far those that were"
                " labelled first vote.",
                "  cite: Cover & Hart, Nearest neighbor pattern classification, IEEE Trans. Inf. Theory 13, 1967",
                "  parameter k: int, default 1",
                "  besides tune: {PARAMETER: [VALUE, ...]}, of which its labels choose (by, folds, when)",
                "  besides selector: LEARNER, which chooses the rows for it",
            ],
        ),
    ],
)
def test_list_of_one(kind: str, name: str, lines: list[str]) -> None:
    said = invoke("list", kind, name)
    without_meanings = [line for line in said.out.splitlines() if not line.startswith("    ")]
    assert (said.status, without_meanings, said.err) == (0, lines, "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("coreset", "  needs: hidden"),
        ("power", "  needs: passes"),
        ("galaxy", "  needs: probabilities, reveal"),
        ("ceal", "  marked: it changes the training of its rounds: not ranked with the others"),
    ],
)
def test_needs_and_marks_are_those_of_the_default_parameters(name: str, said: str) -> None:
    assert said in invoke("list", "strategies", name).out.splitlines()


@pytest.mark.parametrize("kind", LISTS)
def test_every_plugin_can_be_described(kind: str) -> None:
    plugins: registry.Registry = getattr(registry, kind)
    for name in plugins.names():
        said = invoke("list", kind, name)
        assert (said.status, said.err) == (0, "")
        assert said.out.startswith(f"{name} (version ")


def test_list_of_an_unknown_name() -> None:
    said = invoke("list", "learners", "liner")
    legal = ", ".join(registry.learners.names())
    assert (said.status, said.out) == (2, "")
    assert said.err == f"error: unknown learner 'liner'; did you mean 'linear'? legal: {legal}\n"


# --- run, status, report, mlflow-sync --------------------------------------------------------------------------------


def test_only_and_set_choose_what_runs_and_status_says_what_is_left() -> None:
    grid = write_grid(Path("grid.yaml"), strategies=["random", "margin"])
    first = run(grid, "out", "--set", "seeds=2", "--only", "strategy=margin", "--only", "seed=1")
    assert (first.status, first.err) == (0, "")
    done = answer(Path("out"))
    assert (set(done["strategy"]), set(done["seed"])) == ({"margin"}, {1})
    said = invoke("status", "out")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [
        "5 trials: 1 done, 4 left",
        "The run is not over: 4 trials are left (half done, or not begun). Only finished trials are in the tables;"
        " start the same command again to go on.",
        "wine/raw/linear, low, random: 2 left",
        "wine/raw/linear, low, margin: 1 left",
        "wine/raw/linear, full-data, random: 1 left",
    ]
    assert run(grid, "out", "--set", "seeds=2", "--only", "budget=full-data").status == 0
    assert invoke("status", "out").out.splitlines()[0] == "5 trials: 2 done, 3 left"
    assert run(grid, "out", "--set", "seeds=2").status == 0
    assert invoke("status", "out").out == "5 trials: 5 done\n"


def test_where_results_go_without_out() -> None:
    grid = write_grid(Path("grid.yaml"), name="mine")
    said = invoke("run", "--grid", grid, "--engine", "inline", "--mlflow", "off")
    assert said.status == 0
    assert said.out.splitlines()[-1] == "report: runs/mine/report/report.md, runs/mine/report/report.html"
    assert Path("runs/mine/report/report.html").exists()
    assert not list(Path("runs/mine").glob("mlflow*"))


def test_a_report_of_several_runs_and_its_baseline() -> None:
    grid = write_grid(Path("grid.yaml"))
    assert run(grid, "a").status == 0
    assert run(grid, "b", "--set", "name=b", "--set", "strategies=[margin]").status == 0
    said = invoke("report", "a", "b", "--out", "both", "--baseline", "margin")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "report: both/report.md, both/report.html"
    text = Path("both/report.md").read_text(encoding="utf-8")
    assert "random" in text
    assert "margin" in text
    with nothing_written():
        wrong = invoke("report", "a", "b", "--out", "other", "--baseline", "margn")
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err == (
        "error: --baseline margn: no strategy of these runs; did you mean 'margin'? legal: margin, random\n"
    )


@pytest.mark.parametrize("command", ["status", "report", "mlflow-sync"])
def test_a_folder_without_a_run(command: str) -> None:
    Path("photos").mkdir()
    with nothing_written():
        said = invoke(command, "photos")
    assert (said.status, said.out) == (2, "")
    assert said.err == "error: photos holds no albench run (it has no manifest.json)\n"


def test_mlflow_sync() -> None:
    assert run(write_grid(Path("grid.yaml")), "out").status == 0
    said = invoke("mlflow-sync", "out")
    assert (said.status, said.err) == (0, "")
    assert said.out == "level: 2 trials, 4 rounds; 2 trials written now\n"
    assert Path("out/mlflow.db").exists()
    wrong = invoke("mlflow-sync", "out", "--mlflow", "nowhere")
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err == (
        "error: 'nowhere' is no address of an MLflow tracker (SCHEME://...);"
        " legal: sqlite, http, https, postgresql, mysql, mssql\n"
    )


# --- check -----------------------------------------------------------------------------------------------------------

STRANGER = '''
from dataclasses import dataclass
from albench.benchmark.registry import strategy

@strategy("stranger-good", cite="")
@dataclass(frozen=True)
class Good:
    """Uniform draws."""

    def select(self, query):
        return query.rng.choice(query.unlabelled, query.n, replace=False)

@strategy("stranger-greedy", cite="")
@dataclass(frozen=True)
class Greedy:
    """Buys one row too many."""

    def select(self, query):
        return query.unlabelled[: query.n + 1]

@strategy("stranger-open", cite="")
@dataclass(frozen=True)
class Open:
    """Has no default."""

    radius: float

    def select(self, query):
        return query.unlabelled[: query.n]

class Plain:
    pass
'''
CHECKS = [
    "exact_batches",
    "inputs_unchanged",
    "fixed_by_the_generator",
    "global_generators_untouched",
    "blind_to_hidden_labels",
    "nothing_kept",
    "renumbering",
]


def test_check_of_a_registered_strategy() -> None:
    said = invoke("check", "margin")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [f"pass  {name}" for name in CHECKS]


def test_check_of_a_strangers_file_in_the_current_folder(albench: Program) -> None:
    Path("my_module.py").write_text(STRANGER, encoding="utf-8")
    assert albench.run("check", "my_module:Good") == (0, "".join(f"pass  {name}\n" for name in CHECKS), "")
    status, out, err = albench.run("check", "my_module:Greedy")
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines] == [["FAIL", f"{name}:"] for name in CHECKS]
    assert lines[0] == "FAIL  exact_batches: no labels (N=7, 0 labelled, n=3): returned 4 rows instead of 3"


def test_check_of_what_is_said_as_in_a_grid(albench: Program) -> None:
    Path("third_module.py").write_text(STRANGER.replace("stranger", "third"), encoding="utf-8")
    status, out, err = albench.run("check", "{name: third_module:Open, radius: 1}")
    assert (status, err) == (1, "")  # it takes the first rows, wherever they stand
    assert "FAIL  renumbering" in out
    assert out.count("pass") == len(CHECKS) - 1
    assert albench.run("check", "{name: knn, k: 3}")[0] == 0


def test_check_of_what_is_no_strategy() -> None:
    Path("other_module.py").write_text(STRANGER.replace("stranger", "other"), encoding="utf-8")
    Path("broken_module.py").write_text("import no_such_library\n", encoding="utf-8")
    Path("torn_module.py").write_text("def select(:\n", encoding="utf-8")
    here = Path.cwd().resolve()
    legal = ", ".join(sorted([*registry.strategies.legal(), *registry.learners.legal()]))
    problems = {
        "margn": f"unknown strategy or learner 'margn'; did you mean 'margin'? legal: {legal}",
        "nowhere:Good": f"nowhere:Good: there is no module 'nowhere' in {here}, and none is installed",
        "broken_module:X": "broken_module:X: cannot be imported: ModuleNotFoundError: No module named"
        " 'no_such_library'",
        "torn_module:X": f"torn_module:X: {here}/torn_module.py, line 1: invalid syntax",
        "other_module:Godo": "'other_module' has no class 'Godo'; did you mean 'Good'? legal: Good, Greedy, Open",
        "other_module:Plain": "other_module:Plain has no @strategy or @learner above it, so it is not known what it is",
        "other_module:Open": "other_module:Open has no default for radius; say it:"
        " '{name: other_module:Open, radius: ...}'",
        "{name: other_module:Open, radius: wide}": "NAME.radius: expected a number, got 'wide'",
        "{name: margn}": f"unknown strategy or learner 'margn'; did you mean 'margin'? legal: {legal}",
        "{radius: 1}": "NAME: expected {name: ..., parameter: ...}, got {radius: 1}",
        ":Good": f"unknown strategy or learner ':Good'; legal: {legal}",
    }
    for name, problem in problems.items():
        said = invoke("check", name)
        assert (said.status, said.out, said.err) == (2, "", f"error: {problem}\n")

"""`albench new KIND NAME`: a complete file of each kind, which passes its own test and goes into a grid as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import full_disk, invoke, nothing_written, run, write_grid

from albench import load
from albench.benchmark.door.begin import SAID
from albench.benchmark.grid.meaning import meanings
from albench.benchmark.registry import own_class, parameters

pytestmark = pytest.mark.usefixtures("own_folder")
KEYS = {"strategy": "strategies", "learner": "learners", "encoder": "embeddings", "dataset": "datasets"}
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
NO_NAMES = ("My-rule", "1st", "a--b", "../x", "class", "")


def test_what_is_new_is_complete_passes_its_own_test_and_runs() -> None:
    mine = {kind: f"my_{kind}:My{kind.capitalize()}" for kind in SAID}
    for kind, name in mine.items():
        files, told = [f"my_{kind}.py", f"test_my_{kind}.py"], [line.format(name) for line in SAID[kind]]
        assert invoke("new", kind, f"my-{kind}").out.splitlines() == [*files, *told]
        assert not any(re.search("MODULE|CLASS|NAME", Path(file).read_text()) for file in files)
    done = subprocess.run([*PYTEST, "."], capture_output=True, text=True, check=False)
    assert "16 passed" in done.stdout, done.stdout
    assert [invoke("check", mine[kind]).status for kind in ("strategy", "learner")] == [0, 0]
    (refused,) = invoke("check", mine["encoder"]).err.splitlines()
    assert refused.endswith("my_encoder:MyEncoder has @encoder above it; there are checks for strategies and learners")
    for name in mine.values():
        cls = own_class(name)
        assert {field.name for field in parameters(cls)} == {*meanings(cls)}
    assert run(write_grid(Path("grid.yaml"), **{KEYS[kind]: [name] for kind, name in mine.items()}), "out").status == 0
    rounds = load("out").rounds
    said = rounds[rounds["budget"] == "low"][["strategy", "learner", "embedding", "dataset"]].drop_duplicates()
    assert said.values.tolist() == [[*mine.values()]]


@pytest.mark.parametrize("kind", SAID)
def test_nothing_is_overwritten(kind: str) -> None:
    Path("test_mine.py").write_text("")
    with nothing_written():
        again = invoke("new", kind, "mine")
    assert (again.status, again.err) == (2, "error: test_mine.py: is there already; nothing is overwritten\n")


def test_what_cannot_be_written_leaves_nothing() -> None:
    """The second file finds no room; no system has a name of 300 letters."""
    with nothing_written():
        with full_disk(1800):
            full = invoke("new", "encoder", "mine")
        long = [invoke("new", "strategy", "a" * 300), invoke("init", "a" * 300)]
    assert (full.status, full.err) == (2, "error: test_mine.py: cannot be written (File too large)\n")
    assert [each.status for each in long] == [2, 2]
    assert all(each.err.endswith(": cannot be written (File name too long)\n") for each in long)


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        *[(name, f"{name!r} is no name for a plugin; legal: small letters, digits and -") for name in NO_NAMES],
        ("queue", "queue: there is a module queue already (Python's own); take another name"),
        ("numpy", "numpy: there is a module numpy already ("),
        ("margin", "margin: the strategy of this name is albench's, or installed; take another name"),
        ("max-herding", "max-herding: the strategy of this name is albench's"),
        ("knn", "knn: the learner of this name is albench's"),
        ("timm", "timm: there is a module timm already ("),
        ("hf", "hf: the dataset of this name is albench's"),
    ],
)
def test_what_cannot_be_a_name_is_refused(kind: str, name: str, why: str) -> None:
    with nothing_written():
        refused = invoke("new", kind, name)
    assert refused.status == 2
    assert refused.err.startswith(f"error: {why}")
    assert refused.err.count("\n") == 1

"""Names that are not UTF-8, and one name in two spellings: right, or a line."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.commands import invoke, refused, run, write_grid

from albench.benchmark.types import Part, canonical_json
from albench.cli import main
from albench.datasets.folder import Folder
from albench.datasets.reading import files
from albench.datasets.reading.loading import load
from albench.results.record.store import RunStore

pytestmark = pytest.mark.usefixtures("own_folder")
LATIN = os.fsdecode(b"caf\xe9")
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def pictures(folder: str, *classes: str, test: tuple[str, ...] = ()) -> str:
    """Six pictures of each class for the pool and three for the test, whose folders may be spelled otherwise."""
    for part, kinds, n in (("train", classes, 6), ("test", test or classes, 3)):
        for i, kind in enumerate(kinds):
            (Path(folder) / part / kind).mkdir(parents=True)
            for row in range(n):
                buffer = io.BytesIO()
                Image.new("L", (6, 6), 60 * i + row).save(buffer, "PNG")
                (Path(folder) / part / kind / f"{row}-{kind}.png").write_bytes(buffer.getvalue())
    return folder


def test_folders_that_are_not_utf_8_run_to_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(LATIN, "ant", LATIN)
    grid = write_grid(Path(f"{LATIN}.yaml"), datasets=[{"name": "folder", "path": LATIN, "mode": "grey"}])
    for in_memory in (2**31, 0):  # above it pictures are known by their files
        monkeypatch.setattr(files, "IN_MEMORY", in_memory)
        said = run(grid, f"out-{in_memory}", "--only", f"dataset=folder:{LATIN}(mode=grey)")
        assert (said.status, said.err) == (0, "")
        store = RunStore.open(f"out-{in_memory}")
        assert set(store.rounds()["dataset"]) == {"folder:caf\\xe9(mode=grey)"}
        assert "caf\\xe9(mode" in Path(f"out-{in_memory}/report/tables/cells.csv").read_text(encoding="utf-8")
    assert load(Folder(LATIN, mode="grey"), 0).split.class_names == ("ant", "caf\\xe9")


@pytest.mark.parametrize("command", [["status"], ["report"], ["mlflow-sync"], ["replay", "--learner", "knn"]])
def test_a_run_in_a_folder_that_is_not_utf_8_is_refused(command: list[str]) -> None:
    write_grid(Path("grid.yaml"))
    (line,) = refused(out=LATIN)
    assert line.endswith(": the name of a run's folder is not UTF-8; another --out, or a new name, helps")
    Path(LATIN).mkdir()
    (Path(LATIN) / "manifest.json").write_text("{}", encoding="utf-8")
    said = invoke(command[0], LATIN, *command[1:])
    assert said.status == 2
    assert "the name of a run's folder is not UTF-8" in said.err


def test_a_cache_that_is_not_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALBENCH_CACHE", LATIN)
    said = invoke("cache", "list")
    assert said.status == 2
    assert "the name is not UTF-8; name another folder" in said.err


def test_a_class_in_two_spellings_is_one_class_or_a_line() -> None:
    found = load(Folder(pictures("two-parts", "ant", DECOMPOSED, test=("ant", COMPOSED))), 0).split
    assert found.class_names == ("ant", COMPOSED)
    assert sorted(found.test_labels) == [0, 0, 0, 1, 1, 1]
    pictures("one-part", COMPOSED, DECOMPOSED)
    said = refused_by("folder:one-part")
    assert len(said) == 2
    for part, line in zip(("train", "test"), said, strict=True):
        assert f"{part} has 2 folders of one name" in line


def refused_by(dataset: str) -> list[str]:
    write_grid(Path("grid.yaml"), datasets=[dataset])
    return refused()


def test_class_names_of_arrays_in_two_spellings_are_a_line() -> None:
    x, labels = np.arange(24, dtype=np.float32).reshape(12, 2), np.array([COMPOSED, DECOMPOSED, "ant"] * 4)
    np.savez("x.npz", train=x, train_labels=labels, test=x, test_labels=labels)
    assert any("look like one class" in line for line in refused_by("arrays:x.npz"))


def test_what_is_named_on_the_command_line_may_be_spelled_either_way() -> None:
    budget = {"query": 2, "rounds": 1}
    grid = write_grid(Path("grid.yaml"), budgets={DECOMPOSED: budget})
    said = run(grid, "out", "--dry-run", "--only", f"budget={COMPOSED}", "--set", f"budgets.{COMPOSED}.rounds=3")
    assert said.status == 0, said.err
    assert f"budget {COMPOSED} on wine: 0 labels, then 3 x 2" in said.out


def test_an_identity_can_hold_any_text() -> None:
    texts = [LATIN, "caf\\udce9", "caf\\xe9", "\ud83d\ude00", "\U0001f600", "a\x00\u2028"]
    identities = [canonical_json([text]) for text in texts]
    assert len({identity.encode() for identity in identities}) == len(texts)
    assert [json.loads(identities[i]) for i in (0, 1, 2, 4, 5)] == [[texts[i]] for i in (0, 1, 2, 4, 5)]
    assert Part("folder", label=f"folder:{LATIN}\x1b").label == "folder:caf\\xe9\\x1b"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_that_knows_few_characters_is_told_all(encoding: str) -> None:
    name = "café → τ 学"
    write_grid(Path("grid.yaml"), budgets={name: {"query": 2, "rounds": 1}})
    shown = name.encode(encoding, "backslashreplace").decode(encoding)
    out = ["--out", f"out-{encoding}", "--engine", "inline", "--mlflow", "off"]
    said = [
        CliRunner(charset=encoding).invoke(main, arguments)
        for arguments in (
            ["run", "--grid", "grid.yaml", *out],
            ["run", "--grid", "grid.yaml", "--only", "budget=x"],
            ["status", f"out-{encoding}"],
            ["run", "--grid", f"{name}.yaml"],
            ["report", "--literature"],
            ["list", "strategies", "badge"],
            ["list", "strategies", f"{LATIN}\x1b[31m"],
        )
    ]
    assert [one.exit_code for one in said] == [0, 2, 0, 2, 0, 0, 2]
    assert all(shown in one.output for one in (said[1], said[3]))
    assert "caf\\udce9\\x1b[31m" in said[6].output


def test_a_grid_of_many_faults_is_told_in_a_hundred_lines() -> None:
    write_grid(Path("grid.yaml"), strategies=[f"rule{i}" for i in range(4000)])
    lines = refused()
    assert len(lines) == 101
    assert lines[-1] == "and 3,900 more"


def test_rules_over_rules_over_rules_are_bounded() -> None:
    (line,) = refused_by_strategy("power:" * 5000 + "margin")
    assert "more than 32 rules one over the other" in line


def refused_by_strategy(said: str) -> list[str]:
    write_grid(Path("grid.yaml"), strategies=[said])
    return refused()

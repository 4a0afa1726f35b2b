"""The repository root is the package: the rules that keep it one (see CONTRIBUTING.md)."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_only_the_package_and_its_command_line_are_modules_of_the_root() -> None:
    """setuptools ships every module of the root."""
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "cli.py"}


def test_datasets_is_a_namespace_package() -> None:
    """A regular package would shadow Hugging Face's datasets in Ray's workers."""
    assert not list((ROOT / "datasets").rglob("__init__.py"))


def test_every_folder_of_code_is_packaged_and_linked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["setuptools"]["packages"])
    folders = {
        path.parent for top in ("benchmark", "strategies", "datasets", "results") for path in (ROOT / top).rglob("*.py")
    }
    assert {"albench." + ".".join(folder.relative_to(ROOT).parts) for folder in folders} <= packages
    for top in ("benchmark", "strategies", "datasets", "results", "cli.py", "__init__.py", "__main__.py"):
        assert (ROOT / "typings" / "albench" / top).resolve() == ROOT / top


def test_no_file_holds_two_rooms() -> None:
    long = {path: n for path in ROOT.rglob("*.py") if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not {path for path in long if ".venv" not in path.parts and "build" not in path.parts}


def test_no_room_holds_more_files_than_one_takes_in() -> None:
    """Datasets, and the families of rules, are lists: one file each, and nobody reads them all."""
    rooms = {
        path.parent
        for top in ("benchmark", "results", "datasets/reading", "datasets/embeddings", "strategies/kernels")
        for path in (ROOT / top).rglob("*.py")
    }
    assert not {room for room in rooms if len([*room.glob("[!_]*.py")]) > 14}


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, albench.cli; print([m for m in ('numpy','pandas','ray','mlflow','torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"

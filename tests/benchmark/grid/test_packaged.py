"""Grids that come with albench, by name; and the one that a user begins with."""

from pathlib import Path

import pytest
from support.commands import invoke, nothing_written, run, write_grid

from albench import load
from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.packaged import paths
from albench.benchmark.types import UserError

pytestmark = pytest.mark.usefixtures("own_folder")


def test_a_name_is_a_packaged_grid_where_no_file_has_it() -> None:
    Path("wdbc").mkdir()
    assert grids.load(Path("default")).name == "grid"
    assert grids.load(Path("wdbc")).name == "wdbc", "a folder is no grid"
    write_grid(Path("default"), name="mine")
    assert grids.load(Path("default")).name == "mine"
    with pytest.raises(UserError, match="defualt: No such file or directory; did you mean default\\?"):
        grids.load(Path("defualt"))


def test_a_packaged_grid_runs() -> None:
    said = run(Path("default"), "out", "--set", "seeds=1", "--only", "dataset=wine", "--only", "budget=low")
    assert said.status == 0
    assert set(load("out").rounds["dataset"]) == {"wine"}


def test_they_are_listed_each_with_what_it_is() -> None:
    lines = invoke("list", "grids").out.splitlines()
    assert [line.split()[0] for line in lines] == list(paths())
    assert all(20 < len(line.partition(" ")[2].strip()) <= 120 for line in lines)
    assert "Lu et al., " in next(line for line in lines if line.startswith("wdbc"))
    assert invoke("list", "grids", "wdbc").out.rstrip() == paths()["wdbc"].read_text(encoding="utf-8").rstrip()
    assert invoke("list", "grids", "wdbd").err.startswith("error: unknown grid 'wdbd'; did you mean 'wdbc'?")


def test_init_writes_a_grid_that_runs_and_never_writes_over_one() -> None:
    said = invoke("init")
    assert said.out.splitlines() == ["grid.yaml", "what it would take: albench run --grid grid.yaml --dry-run"]
    text = Path("grid.yaml").read_text(encoding="utf-8")
    assert run(Path("grid.yaml"), "out", "--dry-run").status == 0
    keys = [line for line in text.splitlines() if line and line[0] not in "#- "]
    assert [key.partition(":")[0] for key in keys] == [*grids.KEYS[:-2]]
    assert "# resources:" in text
    with nothing_written():
        again = invoke("init")
    assert (again.status, again.err) == (2, "error: grid.yaml: is there already; nothing is overwritten\n")
    assert invoke("init", "no/such/folder.yaml").err.endswith("cannot be written (No such file or directory)\n")
    assert invoke("init", "my grid.yaml").out.endswith("albench run --grid 'my grid.yaml' --dry-run\n")
    Path("link.yaml").symlink_to("nowhere")
    assert invoke("init", "link.yaml").err == "error: link.yaml: is there already; nothing is overwritten\n"


def test_what_the_template_names_in_comments_is_there() -> None:
    """Its commented lines become a grid too."""
    invoke("init")
    text = Path("grid.yaml").read_text(encoding="utf-8").replace("# resources:", "resources:")
    grid = grids.parse(text, "grid.yaml")
    assert {r.timeout for r in grid.resources.values()} == {3600}

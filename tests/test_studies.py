"""The studies that are files: every rule is in one of them; those of the literature have small ones that run here."""

from pathlib import Path

import pytest
import yaml
from support import pretrained, rules

from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.study import preview, resolve

STUDIES = Path(__file__).resolve().parents[1] / "configs" / "studies"
NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))
SMALL = [name for name in NAMES if name.endswith("-small")]
OF_A_SMALL_ONE = {"typiclust-scratch-tiny": "typiclust-scratch", "typiclust-scratch-imagenet": "typiclust-scratch"}
"""Whose small one is that of another: they differ from it in data and settings of the network alone."""
RUN_HERE = {"active-labeler", "opposite-budgets", "tuned", "wdbc"}
RUN_HERE |= {"all-rules", "all-rules-snapshots", "all-rules-validated"}


def test_every_rule_is_in_a_study_of_all_rules() -> None:
    studied = set()
    for path in STUDIES.glob("all-rules*.yaml"):
        for said in yaml.safe_load(path.read_text(encoding="utf-8"))["strategies"]:
            studied.add(said if isinstance(said, str) else said["name"])
    assert set(rules.names()) - studied == {"subset"}, "subset is any rule, of a part of the pool"


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_a_grid_of_its_name_that_says_what_it_is(name: str) -> None:
    path = STUDIES / f"{name}.yaml"
    assert grids.load(path, ()).name == name
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_each_study_of_the_literature_has_a_small_one() -> None:
    of_literature = set(NAMES) - RUN_HERE - set(SMALL)
    assert {f"{OF_A_SMALL_ONE.get(name, name)}-small" for name in of_literature} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_small_study_can_run_on_digits_and_is_the_large_one_in_small(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained.in_hub(monkeypatch, tmp_path, "timm/test_vit.r160_in1k", "test_vit")
    small = resolve(grids.load(STUDIES / f"{name}.yaml", ["datasets=[digits]"]))
    assert small.jobs
    assert not small.unsupported, preview(small)
    large = grids.load(STUDIES / f"{name.removesuffix('-small')}.yaml", ())
    for kind in ("learners", "strategies"):
        ours, theirs = ({choice.part.name for choice in getattr(grid, kind)} for grid in (small.grid, large))
        assert ours <= theirs, kind

"""The studies that are files: every rule is in one of them."""

from pathlib import Path

import yaml
from support import rules

STUDIES = Path(__file__).resolve().parents[1] / "configs" / "studies"


def test_every_rule_is_in_a_study_of_all_rules() -> None:
    studied = set()
    for path in STUDIES.glob("all-rules*.yaml"):
        for said in yaml.safe_load(path.read_text(encoding="utf-8"))["strategies"]:
            studied.add(said if isinstance(said, str) else said["name"])
    assert set(rules.names()) - studied == {"subset"}, "subset is any rule, of a part of the pool"

from pathlib import Path

import pytest
from support.commands import invoke

from albench.results.literature.published_numbers import MARKS, published
from albench.results.report.plain import lines
from albench.results.report.surveys import VIEWS, survey, survey_text


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_survey_fits(width: int) -> None:
    text = survey_text(width)
    limit = width if width >= 80 else 80  # a rule's name and one column need as much
    assert max(map(len, text.splitlines())) <= limit
    assert text.count("US-C ") == len([1 for line in text.splitlines() if line.startswith("D     US-C")])


def test_every_row_of_every_table_has_its_mark_and_all_numbers_are_there() -> None:
    marks = {mark for mark, _ in MARKS.values()}
    tables = [block for block in survey() if block.columns]
    assert all(row[0] in marks for block in tables for row in block.rows)
    cells = sum(text != "-" for block in tables for row in block.rows for text in row) - sum(
        sum(name in ("mark", "rule", "setting") for name in block.columns) * len(block.rows) for block in tables[:-1]
    )
    others = tables[-1]
    cells -= len(others.rows) * len(others.columns)
    whole = {view.source for view in VIEWS} - {"labelbench"}
    expected = sum(row.source in whole for row in published())
    curves = {
        (r.origin, r.dataset, r.strategy) for r in published() if (r.source, r.metric) == ("labelbench", "accuracy")
    }
    assert cells == expected + len(curves)
    assert sum(int(row[-1]) for row in others.rows) == sum(
        row.source not in {view.source for view in VIEWS} for row in published()
    )


def test_regimes_are_never_in_one_table_and_nothing_is_ranked() -> None:
    tables: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for view in VIEWS:
        for row in published():
            if row.source == view.source:
                tables.setdefault((view.source, view.table(row)), set()).add(row.regime)
    assert {len(regimes) for regimes in tables.values()} == {1}
    assert all(not block.strong and "rank" not in block.columns for block in survey())
    assert "0.9481 ±0.0011 @10009" in survey_text(100)  # BADGE's overshoot is seen


def test_the_command_prints_it_alone(tmp_path: Path) -> None:
    said = invoke("report", "--literature")
    assert (said.status, said.err) == (0, "")
    assert "D     US-C" in said.out
    assert max(map(len, said.out.splitlines())) <= 100
    for arguments in (["--literature", str(tmp_path)], ["--literature", "--out", "x"], []):
        refused = invoke("report", *arguments)
        assert refused.status == 2
        assert "--literature" in refused.err


def test_plain_tables_repeat_their_first_columns() -> None:
    from albench.results.report.blocks import Block

    block = Block("t", columns=("mark", "rule", *"abcdef"), rows=(("R", "margin", *("0.1234567890",) * 6),))
    printed = list(lines(block, 50, 2))
    assert sum(line.startswith("R     margin") for line in printed) == 3
    assert sum(line.count("0.1234567890") for line in printed) == 6

"""Rules that are not asked like the others: flagged, and no bound wins against those that it bounds."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support import runs
from support.commands import run, write_grid
from support.curves import read_as

from albench.benchmark.registry import MARKS
from albench.results.measures.complete import Complete
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.record.store import RunStore
from albench.results.report import report, terminal
from albench.results.report.blocks import Block
from albench.results.report.look import GREY
from albench.results.report.sections import accuracy, costs, curves, gains, ranks, savings
from albench.results.report.sections.board import every, leaderboard, overview
from albench.results.report.sections.reading import blocks as reading_blocks

GAINS = {"random": 0.0, "margin": 0.05, "galaxy": 0.04, "other": 0.03, "ceal": 0.2, "boss": 0.3, "copy": 0.3}
MADE: dict[str, list[str]] = {"galaxy": ["reveals"], "other": ["theirs"], "ceal": ["trains"], "boss": ["oracle"]}


def evidence(marks: dict[str, list[str]] = MADE) -> Evidence:
    """Seven strategies, six seeds: ``ceal`` and ``boss`` are far better than the others; ``copy`` is boss again."""
    rounds, trials = [], []
    for strategy, gain in GAINS.items():
        for seed in range(6):
            names: dict[str, Any] = {"dataset": "d", "embedding": "e", "learner": "l", "budget": "low"}
            names |= {"strategy": strategy, "seed": seed, "trial_id": f"{strategy}-{seed}", "strategy_params": "{}"}
            for r in range(4):
                picks = r if strategy in {"boss", "copy"} else r + 10 * (1 + list(GAINS).index(strategy))
                rounds.append({
                    **names, "round": r, "n_labelled": 10 * (r + 1), "class_counts": [10 * (r + 1), 0],
                    "accuracy": 0.3 + 0.1 * r + (r > 0) * gain * (strategy != "copy") + seed / 100,
                    "selected": 10 * picks + np.arange(10), "bought_by": "strategy" if r else "initial",
                    "ended_at": 1, "select_s": 1 + gain, "fit_s": 1.0, "eval_s": 0.0, "peak_rss_mb": 100.0,
                })  # fmt: skip
            trials.append({**names, "outcome": "done", "reason": "", "host": "h", "device": "cpu", "ended_at": 1})
    order = {"strategy": ["boss", *(name for name in GAINS if name != "boss")]}
    return read_as(rounds, trials, {"run": {"order": order, "marks": marks}})


def made(blocks: list[Block], of: Evidence) -> list[Block]:
    return report.prepared(of.summary, blocks)


def test_a_rule_without_marks_is_shown_as_ever() -> None:
    plain = evidence({})
    assert plain.summary.rivals() == plain.summary.strategies()
    [block] = made(leaderboard.blocks(plain), plain)
    assert block.note == leaderboard.blocks(plain)[0].note
    assert {row[0] for row in block.rows} == set(GAINS)
    assert "boss" in plain.summary.best(plain.summary.settings()[0], "low")
    [figure] = [block.figure for block in curves.blocks(plain) if block.figure]
    assert GREY not in figure.spec["encoding"]["color"]["scale"]["range"][1:]  # the baseline's alone


def test_a_leaderboard_is_of_one_regime() -> None:
    plain = evidence({})
    assert {row[3] for block in every.blocks(plain) for row in block.rows} == {"l"}
    cells = plain.summary.cells
    moved = {key._replace(learner="net"): replace(cell, key=key._replace(learner="net")) for key, cell in cells.items()}
    summary = replace(plain.summary, cells={**cells, **moved}, by_learner={"net": "semi-supervised"})
    of_two = replace(plain, summary=summary)
    first, second = every.blocks(of_two)
    assert (first.title, second.title) == ("Every setting: regime not said", "Every setting: semi-supervised")
    assert ({row[3] for row in first.rows}, {row[3] for row in second.rows}) == ({"l"}, {"net"})
    alone, moved_alone = leaderboard.blocks(of_two)
    assert (alone.title, moved_alone.title) == ("Leaderboard: regime not said", "Leaderboard: semi-supervised")
    before = [row[:-1] for row in leaderboard.blocks(plain)[0].rows]  # neither's ranks know of the other
    assert [row[:-1] for row in alone.rows] == [row[:-1] for row in moved_alone.rows] == before


SECTIONS = [leaderboard, every, accuracy, gains, savings, costs, overview]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__.rpartition(".")[2])
def test_bounds_stand_last_and_neither_they_nor_other_trainings_are_bold(section: report.Section) -> None:
    of = evidence()
    tables = [b for b in made(section.blocks(of), of) if b.columns[:1] == ("strategy",)]
    assert tables
    for block in tables:
        names = [row[0] for row in block.rows]
        assert names[-1] == "boss °"
        assert {"galaxy †", "other §", "ceal ‡", "margin"} < set(names)
        assert block.note.endswith(" ".join(f"{sign} {MARKS[mark]}." for sign, mark in zip("°†‡§", MARKS, strict=True)))
        bold = {names[i] for i, _ in block.strong}
        assert bold
        assert not bold & {"boss °", "ceal ‡"}


def test_the_bold_cells_stay_on_their_rows_where_bounds_move() -> None:
    of = evidence()
    [raw], [block] = every.blocks(of), made(every.blocks(of), of)
    last = {raw.rows[i][1:][j - 1] for i, j in raw.strong}
    assert {block.rows[i][j] for i, j in block.strong} == last


def test_ranks_are_of_rivals_and_say_who_is_not_among_them() -> None:
    of = evidence()
    complete = Complete.of(of.summary)
    assert set(complete.strategies) == {"random", "margin", "galaxy", "other", "copy"}
    blocks = made(ranks.blocks(of), of)
    assert f"boss is left out: it {MARKS['oracle']}" in blocks[0].items
    assert f"ceal is left out: it {MARKS['trains']}" in blocks[0].items
    for block in blocks:
        assert not {"boss", "boss °", "ceal", "ceal ‡"} & {*block.columns, *(row[0] for row in block.rows)}
    square = next(block for block in blocks if block.name == "wins")
    assert "galaxy †" in square.columns
    pairs = next(block for block in blocks if block.name == "neighbours")
    assert any("galaxy †" in row[0] for row in pairs.rows)


def test_an_oracle_is_no_twin_and_on_no_front() -> None:
    of = evidence()
    assert not any("twins" in item for block in reading_blocks(of) for item in block.items)
    assert any("twins: boss and copy" in item for block in reading_blocks(evidence({})) for item in block.items)
    [figure] = [block.figure for block in costs.blocks(of) if block.figure]
    assert not {"boss", "ceal"} & {row["strategy"] for row in figure.spec["data"]["values"]}


def test_an_oracle_is_drawn_as_a_bound() -> None:
    [figure] = [block.figure for block in curves.blocks(evidence()) if block.figure]
    colour = figure.spec["encoding"]["color"]["scale"]
    dash = figure.spec["layer"][1]["encoding"]["strokeDash"]["scale"]
    drawn = dict(zip(colour["domain"], zip(colour["range"], dash["range"], strict=True), strict=True))
    assert drawn["boss"] == (GREY, [4, 4])
    assert drawn["random"] == (GREY, [1, 0])
    assert drawn["margin"][0] != GREY


def shown(of: Evidence, encoding: str = "utf-8") -> str:
    out = StringIO()
    console = Console(file=out, width=100)
    console._file = out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Console, "encoding", property(lambda _: encoding))
        terminal.render(of.summary, console)
    return out.getvalue()


def test_a_terminal_shows_bounds_below_the_line() -> None:
    lines = shown(evidence()).partition("\nleaderboard")[0].splitlines()
    boss = next(i for i, line in enumerate(lines) if "boss °" in line)
    assert boss > max(i for i, line in enumerate(lines) if "ceal ‡" in line or "margin" in line)
    assert set(lines[boss - 1]) <= set("├─┼┤")
    assert "*" not in lines[boss]
    text = " ".join(" ".join(lines).split())
    assert f"† {MARKS['reveals']}." in text
    board = shown(evidence()).partition("\nleaderboard")[2]
    assert [line.split("│")[2].strip() for line in board.splitlines() if "ceal ‡" in line or "boss °" in line] == [
        "-"
    ] * 2
    assert f"(r) {MARKS['reveals']}." in " ".join(shown(evidence(), "ascii").split())


def test_marks_come_from_the_manifest_of_a_run(tmp_path: Path) -> None:
    trial = runs.make_trial("galaxy")
    label = trial.strategy.label
    store = RunStore.create(tmp_path, "name: tiny\n", runs.MANIFEST | {"marks": {label: ["reveals"]}})
    with store:
        store.add_rounds(runs.make_rows(trial))
        store.add_trials([runs.make_end(trial)])
    of = Evidence.of(read_runs([tmp_path]))
    assert of.summary.marks == {label: ["reveals"]}
    report.write_report([tmp_path], tmp_path / "out", tables_only=True)
    said = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert f"{label} † |" in said
    assert f"\n† {MARKS['reveals']}.\n" in said


def test_marks_that_are_no_lists_of_texts_are_left_out(tmp_path: Path) -> None:
    trial = runs.make_trial()
    store = RunStore.create(tmp_path, "name: tiny\n", runs.MANIFEST | {"marks": {trial.strategy.label: 3}})
    with store:
        store.add_rounds(runs.make_rows(trial))
        store.add_trials([runs.make_end(trial)])
    assert Evidence.of(read_runs([tmp_path])).summary.marks == {}


def test_what_nobody_knows_is_no_mark() -> None:
    of = evidence({"margin": ["wonderful"]})
    [block] = made(every.blocks(of), of)
    assert (block.note, replace(block, note="")) == ("", block)


@pytest.mark.usefixtures("own_folder")
def test_a_run_says_which_of_its_rules_are_marked_and_its_report_flags_them() -> None:
    grid = write_grid(Path("grid.yaml"), strategies=["random", "galaxy"], seeds=1)
    said = run(grid, "out")
    assert RunStore.open(Path("out")).manifest["marks"] == {"galaxy": ["reveals"]}
    assert f"(r) {MARKS['reveals']}." in said.out or f"† {MARKS['reveals']}." in said.out

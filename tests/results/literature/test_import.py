from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.commands import everything_below, invoke

from albench.results.literature.comparison import Verdict, compare
from albench.results.literature.foreign import import_curves
from albench.results.literature.foreign_columns import parse_columns
from albench.results.literature.orders import orders
from albench.results.literature.published_numbers import published
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.measures.findings import grade
from albench.results.measures.tables import Key
from albench.results.record.schema import IMPORTED
from albench.results.record.store import RunStore

LABELBENCH = Path(__file__).resolve().parents[4] / "shared" / "literature" / "labelbench_curves.csv"
HEADER = ["dataset", "batch_size", "embedding", "head", "trainer", "strategy", "seed", "n_labels", "test_accuracy"]
PLACE = ("toys", "clip", "linear+flexmatch", "batch-10")
Rows = list[list[Any]]


def rows() -> Rows:
    """Return two seeds of three rules; ``greedy`` buys one too many each time, one trial of ``margin`` ends early."""
    starts = ["toys", 10, "clip", "linear", "flexmatch"]
    table: Rows = []
    for seed in (7, 8):
        for rule, counts in {"random": (10, 20, 30), "margin": (10, 20, 30), "greedy": (10, 21, 32)}.items():
            last = 2 if (rule, seed) == ("margin", 8) else 3
            table += [[*starts, rule, seed, n, f"0.{n + seed + len(rule)}"] for n in counts[:last]]
    return table


def write(path: Path, table: Rows, header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *table])
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "curves.csv", rows())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def refused(file: Path, out: Path, *more: str) -> list[str]:
    """Import a file that cannot be, see that nothing was written, and return the lines of the error."""
    before = everything_below(file.parent)
    said = invoke("import", file, "--out", out, *more)
    assert (said.status, said.out) == (2, "")
    assert everything_below(file.parent) == before
    return said.err.replace(f"{file}: ", "").splitlines()


def test_a_file_becomes_a_run(file: Path, out: Path) -> None:
    said = invoke("import", file, "--out", out)
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [
        "imported 6 trials (17 rounds): 3 strategies in 1 setting",
        "columns: accuracy = test_accuracy, learner = head+trainer",
        "imported curves: greedy buys more than its budget in 2 trials: 32 labels instead of 30 (2 on toys)",
        "imported curves: margin ends early in 1 trial: 20 labels instead of 30 (1 on toys)",
        f"next: albench report {out}",
    ]
    assert sorted(path.name for path in out.parent.iterdir()) == ["curves.csv", "run"]
    runs = read_runs([out])
    rounds = runs.rounds[runs.rounds["strategy"] == "greedy"].query("seed == 7")
    assert rounds["n_labelled"].tolist() == [10, 21, 32]
    assert rounds["accuracy"].tolist() == [0.23, 0.34, 0.45]
    assert set(runs.rounds["bought_by"]) == {IMPORTED}
    assert runs.rounds["selected"].map(len).sum() == 0
    assert runs.rounds[["select_s", "nll", "macro_f1", "peak_rss_mb"]].isna().all(axis=None)
    assert runs.manifests["run"]["imported from"] == "curves.csv"
    assert len(runs.plan) == 6


def test_report_and_statistics_apply(file: Path, out: Path) -> None:
    import_curves(file, out, {})
    evidence = Evidence.of(read_runs([out]))
    cells = evidence.summary.cells
    random_, greedy, margin = (cells[Key(*PLACE, rule)] for rule in ("random", "greedy", "margin"))
    assert random_.by_seed["final/1"].tolist() == [0.43, 0.44]
    assert greedy.gain_final.mean == pytest.approx(2.0)
    assert (margin.n, margin.status) == (1, "1 failed")
    assert margin.reasons == ("imported: it ends at 20 labels, the others of its setting at 30",)
    sizes = [row for row in grade(evidence.rounds, evidence.trials, evidence.summary) if "query sizes" in row[0]]
    assert "labels per query: 1" in str(sizes[0])  # 10 or 11, by whose trial stands for the budget
    said = invoke("report", out)
    assert said.status == 0
    report = (out / "report" / "report.md").read_text()
    assert "greedy buys more than its budget in 2 trials: 32 labels instead of 30" in report
    assert "margin ends early in 1 trial:" in report


def test_the_order_of_the_lines_and_the_names_of_columns_change_nothing(file: Path, out: Path, tmp_path: Path) -> None:
    import_curves(file, out, {})
    table = [rows()[i] for i in np.random.default_rng(0).permutation(len(rows()))]
    names = ["data", "batch", "features", "h", "t", "method", "random_seed", "num_labels", "acc"]
    other = write(tmp_path / "other.csv", table, names)
    import_curves(other, tmp_path / "other", parse_columns("learner=h+t"))
    a, b = (read_runs([folder]).rounds for folder in (out, tmp_path / "other"))
    columns = ["dataset", "embedding", "learner", "budget", "strategy", "seed", "round", "n_labelled", "accuracy"]
    first, second = (x[columns].sort_values(columns, ignore_index=True) for x in (a, b))
    pd.testing.assert_frame_equal(first, second)


def test_what_a_file_does_not_say_is_unsaid(out: Path, tmp_path: Path) -> None:
    table = [["d", "random", 0, 5, 0.5, 12.5, 0.4], ["d", "random", 0, 6, 0.6, 30, ""]]
    header = ["dataset", "strategy", "seed", "n_labels", "accuracy", "elapsed_seconds", "macro_f1"]
    import_curves(write(tmp_path / "a.csv", table, header), out, {})
    runs = read_runs([out])
    assert runs.rounds[["embedding", "learner", "budget"]].drop_duplicates().to_numpy().tolist() == [["unsaid"] * 3]
    assert runs.trials["wall_s"].tolist() == [30.0]
    assert runs.rounds["macro_f1"].isna().tolist() == [False, True]


def test_budgets_of_one_schedule_are_two_runs(out: Path, tmp_path: Path) -> None:
    header = ["dataset", "strategy", "seed", "n_labels", "accuracy", "budget"]
    table = [["d", "random", 0, 5, 0.5, "a"], ["d", "random", 0, 5, 0.7, "b"]]
    import_curves(write(tmp_path / "a.csv", table, header), out, {})
    assert read_runs([out]).rounds["trial_id"].nunique() == 2


def test_the_same_again_is_harmless_and_another_is_refused(file: Path, out: Path, tmp_path: Path) -> None:
    first = invoke("import", file, "--out", out)
    before = everything_below(out)
    assert invoke("import", file, "--out", out) == first
    assert everything_below(out) == before
    other = write(tmp_path / "other.csv", rows()[:-1])
    assert refused(other, out) == [f"error: {out} holds another run: curves; give an empty --out"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert "holds files of something else" in refused(file, tmp_path / "mine")[0]


def test_an_empty_folder_will_do(file: Path, out: Path) -> None:
    out.mkdir()
    import_curves(file, out, {})
    assert len(read_runs([out]).trials) == 6


def test_what_dies_on_the_way_leaves_nothing(file: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunStore, "write_plan", die)
    said = invoke("import", file, "--out", out)
    assert (said.status, said.err) == (1, f"error: {out} cannot be written: No space left on device\n")
    assert sorted(path.name for path in out.parent.iterdir()) == ["curves.csv"]


def test_rows_said_twice_count_once(file: Path, out: Path) -> None:
    write(file, [*rows(), rows()[0]])
    assert "1 row said twice, counted once" in invoke("import", file, "--out", out).out
    assert len(read_runs([out]).rounds) == 17


# --- bad input -------------------------------------------------------------------------------------------------------


def changed(**cells: str) -> Rows:
    table = rows()
    for place, value in cells.items():
        line, column = place.rsplit("_", 1)
        table[int(line[1:]) - 2][int(column)] = value
    return table


@pytest.mark.parametrize(
    ("table", "problems"),
    [
        (changed(l2_8="nan"), ["line 2: accuracy must be a number, not 'nan'"]),
        (changed(l4_8=""), ["line 4: accuracy must be a number, not ''"]),
        (changed(l4_8="inf"), ["line 4: accuracy must be a number, not 'inf'"]),
        (changed(l3_8="-0.1"), ["line 3: accuracy must be a share between 0 and 1, not '-0.1'"]),
        (changed(l3_8="300"), ["line 3: accuracy must be a share between 0 and 1, not '300'"]),
        (changed(l5_7="20.5"), ["line 5: n_labels must be a whole number from 1, not '20.5'"]),
        (changed(l5_7="0"), ["line 5: n_labels must be a whole number from 1, not '0'"]),
        (changed(l5_6="a"), ["line 5: seed must be a whole number from 0, not 'a'"]),
        (changed(l5_5=" "), ["line 5: strategy is empty, not ''"]),
        (
            changed(l2_8="x", l3_6="-1", l6_7="many"),
            [
                "line 3: seed must be a whole number from 0, not '-1'",
                "line 6: n_labels must be a whole number from 1, not 'many'",
                "line 2: accuracy must be a number, not 'x'",
            ],
        ),
        (changed(l4_5="a\x1b[31mb"), ["line 4: strategy must be without control characters, not 'a\\x1b[31mb'"]),
        (changed(l4_0="to\0ys"), ["line 4: dataset must be without control characters, not 'to\\x00ys'"]),
        (changed(l4_4="a\u202eb"), ["line 4: learner must be without control characters, not 'linear+a\\u202eb'"]),
        ([], ["has a header and no rows"]),
        ([*rows(), ["toys", 10]], ["line 19 has 2 fields, the header 9"]),
    ],
)
def test_wrong_values_are_named_with_their_line(table: Rows, problems: list[str], file: Path, out: Path) -> None:
    assert refused(write(file, table), out) == [f"error: {problem}" for problem in problems]


def test_the_name_of_full_data_bounds_is_reserved(file: Path, out: Path) -> None:
    """Otherwise a learning curve would silently be a bound."""
    table = [[*row, "full-data" if row[5] == "greedy" else "low"] for row in rows()]
    (line,) = refused(write(file, table, [*HEADER, "budget"]), out)
    rule = "budget must be another name (that of full-data bounds is reserved)"
    assert line == f"error: line 8: {rule}, not 'full-data' (and 5 more)"


@pytest.mark.parametrize(("name", "hint"), [("Random", True), ("random sampling", True), ("uniform", False)])
def test_a_baseline_under_another_name_is_hinted_at(name: str, hint: bool, file: Path, out: Path) -> None:
    table = [[*row[:5], name if row[5] == "random" else row[5], *row[6:]] for row in rows()]
    lines = import_curves(write(file, table), out, {}).lines
    quoted = f"'{name}'" if " " in name else name
    line = (
        f"strategy '{name}': did you mean 'random'? the baseline of a report is random (another: --baseline {quoted})"
    )
    assert (line in lines) == hint
    assert name in set(read_runs([out]).rounds["strategy"])  # nothing is renamed


def test_curves_that_share_no_seed_are_not_compared(file: Path, out: Path) -> None:
    """Means of unpaired seeds beside each other look like a comparison: the words say that there is none."""
    table = [[*row[:6], row[6] + (10 if row[5] == "margin" else 0), *row[7:]] for row in rows() if row[5] != "greedy"]
    said = "toys/clip/linear+flexmatch, batch-10: "
    pair = "margin (seeds 17, 18) and random (seeds 7, 8) share no seed: they cannot be compared seed by seed"
    assert said + pair in str(import_curves(write(file, table), out, {}).lines)
    printed = invoke("report", out, "--tables").out
    assert "share no seed" in printed
    assert "share no seed" in (out / "report" / "report.md").read_text()
    leaders = pd.read_csv(out / "report" / "tables" / "every-setting.csv")
    assert set(leaders["metric"]) == {"aubc/1", "final/1"}


def test_one_strategy_under_two_spellings_is_named(file: Path, out: Path) -> None:
    table = [[*row[:5], "Margin" if row[5:7] == ["margin", 8] else row[5], *row[6:]] for row in rows()]
    assert "strategies 'margin' and 'Margin': one under several spellings?" in str(
        import_curves(write(file, table), out, {}).lines
    )


def test_beside_random_another_random_is_just_a_name(file: Path, out: Path) -> None:
    table = [[*row[:5], "random-walk" if row[5] == "greedy" else row[5], *row[6:]] for row in rows()]
    assert "did you mean" not in str(import_curves(write(file, table), out, {}).lines)


def test_rows_that_disagree_are_named(file: Path, out: Path) -> None:
    other = [*rows()[0][:-1], "0.99"]
    (line,) = refused(write(file, [*rows(), other]), out)
    assert line.startswith(
        "error: lines 2 and 19 disagree about dataset toys, embedding clip, learner linear+flexmatch,"
    )
    assert line.endswith("strategy random, seed 7, n_labels 10: accuracy [0.23, 0.99]")


def test_disagreement_hints_at_a_column_that_was_left_out(file: Path, out: Path) -> None:
    table = [[*row, noise] for row in rows()[:1] for noise in ("clean", "noisy")]
    table[1][8] = "0.5"
    (line,) = refused(write(file, table, [*HEADER, "noise"]), out)
    assert line.endswith("is one of the columns noise part of a name? (--columns learner=a+b)")
    invoke("import", file, "--out", out, "--columns", "dataset=dataset+noise")
    assert set(read_runs([out]).rounds["dataset"]) == {"toys+clean", "toys+noisy"}


def test_missing_columns_are_named_with_the_nearest(file: Path, out: Path) -> None:
    header = ["dataset", "b", "embedding", "head", "trainer", "stratgy", "seed", "n_lables", "score"]
    lines = refused(write(file, rows(), header), out)
    assert [line.split(" (")[0] for line in lines[:3]] == [
        "error: no column 'strategy'",
        "error: no column 'n_labels'",
        "error: no column 'accuracy'",
    ]
    assert lines[3].endswith("--columns 'strategy=#6,n_labels=#8,accuracy=#9'")
    assert "did you mean 'stratgy'?" in lines[0]
    assert "did you mean 'n_lables'?" in lines[1]
    assert lines[2].endswith("or say --columns accuracy=NAME")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            "accurcy=test_accuracy",
            "error: --columns accurcy=test_accuracy: unknown column 'accurcy'; did you mean 'acc",
        ),
        ("accuracy=", "error: --columns accuracy=: expected OURS=THEIRS"),
        ("accuracy=test_acuracy", "error: --columns accuracy: no column 'test_acuracy'; did you mean 'test_accuracy'?"),
    ],
)
def test_wrong_columns_are_named(columns: str, problem: str, file: Path, out: Path) -> None:
    (line,) = refused(file, out, "--columns", columns)
    assert line.startswith(problem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe\x00", "is not text in UTF-8, UTF-16 or Windows-1252: "),
        (b"\x89PNG\r\n\x1a\n\x81,\x8d", "is not text in UTF-8, UTF-16 or Windows-1252: "),
        (b"dataset,dataset,seed\na,b,1\n", "several columns are called 'dataset'"),
        (b"dataset\nstrategy\n", "has one column: commas, semicolons, tabs, bars can separate columns"),
        (b"dataset,\x1b[31m\na,b\n", "the name of a column must be without control characters, not '\\x1b[31m'"),
        (b'dataset,strategy\n"a,b\n', "is not a CSV file: line 2: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_table(content: bytes, problem: str, file: Path, out: Path) -> None:
    file.write_bytes(content)
    (line,) = refused(file, out)
    assert line.startswith(f"error: {problem}")


# --- LabelBench ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not LABELBENCH.exists(), reason="the curves of LabelBench are not here")
def test_labelbench(out: Path) -> None:
    lines = import_curves(LABELBENCH, out, {}).lines
    assert lines[0] == "imported 564 trials (6064 rounds): 9 strategies in 24 settings"
    assert any("badge buys more than its budget in 52 trials" in line for line in lines)
    assert any("10,009 labels instead of 10,000" in line for line in lines)
    assert any("least-confidence ends early in 2 trials: 18,000 labels instead of 30,000" in line for line in lines)
    runs = read_runs([out])
    ours = runs.rounds.groupby(["dataset", "embedding", "learner", "budget", "strategy", "n_labelled"])[
        "accuracy"
    ].mean()
    seen = set()
    for row in published():
        if (row.source, row.metric) == ("labelbench", "accuracy") and not row.regime.startswith("proxy"):
            key = (*_place(row.dataset, row.setting), row.rule, int(row.labels))
            assert ours[key] == pytest.approx(row.value, abs=1e-4), key
            seen.add(key)
    short = ("fmow", "clip_ViTB32", "linear+flexmatch", "batch-3000", "least-confidence")
    assert set(ours.index) - seen == {(*short, n) for n in (21000, 24000, 27000, 30000)}  # two of its four seeds end
    assert runs.trials["outcome"].value_counts().to_dict() == {"done": 562, "failed": 2}
    besides = compare(Evidence.of(runs))[0]
    assert len(besides) == 159
    assert {one.verdict for one in besides} == {Verdict.SAME_DATA}  # nobody agrees with himself
    assert [one.why for one in besides if one.why] == [("2 of their 4 seeds",)]
    assert orders(besides) == []


def _place(dataset: str, setting: str) -> tuple[str, str, str, str]:
    """Return the names that a published setting has in the file of curves."""
    network = "coca_ViTB32" if "coca" in setting else "clip_ViTB32"
    trainer = "flexmatch" if "flexmatch" in setting else "passive"
    head = next((head for head in ("linear", "shallow") if f"{head} head" in setting), None)
    batch = setting.partition("batch ")[2].partition(",")[0]
    data = f"{dataset}_random" if "label-noise" in setting else dataset
    return (data, network if head else "none", f"{head or network}+{trainer}", f"batch-{batch}")

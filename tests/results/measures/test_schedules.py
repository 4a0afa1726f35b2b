from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from albench.results.literature.foreign import import_curves
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.measures.schedules import Kind, odd_trials, unfit_reason, usual_counts
from albench.results.measures.tables import Key
from albench.results.record.schema import IMPORTED


def test_the_usual_counts_are_the_commonest_then_the_longer_then_the_smaller() -> None:
    assert usual_counts([(1, 2), (1, 3), (1, 3)]) == (1, 3)
    assert usual_counts([(1, 2), (1, 2, 3)]) == (1, 2, 3)
    assert usual_counts([(1, 3), (1, 2)]) == (1, 2)


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ((10, 20), Kind.SHORT),
        ((10, 21, 32), Kind.BEYOND),
        ((11, 20, 29), Kind.SHORT),
        ((10, 30), Kind.OTHER),
        ((10, 19, 30), Kind.OTHER),
        ((20, 30), Kind.START),
        ((10, 20, 30, 40), Kind.LONG),
        ((10, 25, 40), Kind.LONG),
    ],
)
def test_kinds_of_oddity(counts: tuple[int, ...], kind: Kind) -> None:
    trials = [("d", "e", "l", "b", "random", s, n) for s in range(2) for n in (10, 20, 30)]
    trials += [("d", "e", "l", "b", "odd", 0, n) for n in counts]
    frame = pd.DataFrame(
        trials, columns=["dataset", "embedding", "learner", "budget", "strategy", "seed", "n_labelled"]
    )
    (odd,) = odd_trials(frame.assign(bought_by=IMPORTED))
    assert (odd.strategy, odd.kind, odd.has, odd.usual) == ("odd", kind, counts, (10, 20, 30))
    assert bool(unfit_reason(odd.has, odd.usual)) == (counts not in {(10, 21, 32), (10, 19, 30)})


def equal_where_shared(path: Path, counts: Mapping[str, tuple[int, ...]]) -> Path:
    """Write curves that are equal at every count: three seeds of each rule, accuracy 0.5 + n / 100."""
    table = [["d", rule, seed, n, 0.5 + n / 100] for rule, own in counts.items() for seed in range(3) for n in own]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["dataset", "strategy", "seed", "n_labels", "accuracy"], *table])
    return path


@pytest.mark.parametrize(
    ("counts", "reason", "notice"),
    [
        (
            (30, 40),
            "it begins at 30 labels, the others of its setting at 10",
            "begins at another number of labels in 3 trials: 30 labels instead of 10 (3 on d)",
        ),
        (
            (10, 20, 30, 40, 50),
            "it ends at 50 labels, the others of its setting at 40",
            "goes on further than the others in 3 trials: 50 labels instead of 40 (3 on d)",
        ),
        (
            (10, 15, 30, 40),
            "unlike the others of its setting it is measured at 15 labels and not at 20",
            "is measured at other label counts in 3 trials: at 15 labels and not at 20 (3 on d)",
        ),
        (
            (10, 30, 40),
            "unlike the others of its setting it is measured not at 20",
            "is measured at other label counts in 3 trials: not at 20 (3 on d)",
        ),
        (
            (10, 40),
            "unlike the others of its setting it is measured not at 20, 30",
            "is measured at other label counts in 3 trials: not at 20, 30 (3 on d)",
        ),
    ],
)
def test_equal_curves_over_other_labels_gain_nothing(
    counts: tuple[int, ...], reason: str, notice: str, tmp_path: Path
) -> None:
    """Otherwise such a rule, equal to random wherever both are measured, has another area, a gain and the bold face."""
    file = equal_where_shared(
        tmp_path / "a.csv", dict.fromkeys(("random", "margin"), (10, 20, 30, 40)) | {"odd": counts}
    )
    assert f"imported curves: odd {notice}" in import_curves(file, tmp_path / "run", {}).lines
    evidence = Evidence.of(read_runs([tmp_path / "run"]))
    cell = evidence.summary.cells[Key("d", "unsaid", "unsaid", "unsaid", "odd")]
    assert (cell.n, cell.status, cell.reasons) == (0, "3 failed", (f"imported: {reason}",))
    assert evidence.summary.best(cell.key.setting, "unsaid") == {"random", "margin"}


def test_the_notice_names_the_counts_that_differ_where_the_ends_agree(tmp_path: Path) -> None:
    counts = dict.fromkeys(("random", "margin"), (10, 20, 30)) | {"odd": (10, 21, 30)}
    lines = import_curves(equal_where_shared(tmp_path / "a.csv", counts), tmp_path / "run", {}).lines
    notice = "imported curves: odd buys more than its budget in 3 trials: at 21 labels and not at 20 (3 on d)"
    assert notice in lines
    assert set(read_runs([tmp_path / "run"]).trials["outcome"]) == {"done"}


def test_curves_of_two_files_are_judged_together(tmp_path: Path) -> None:
    """Each file agrees with itself; a run of our own that buys as its budget says has the last word."""
    long, late = (10, 20, 30, 40), (30, 40)
    import_curves(equal_where_shared(tmp_path / "a.csv", dict.fromkeys(("random", "margin"), long)), tmp_path / "a", {})
    import_curves(equal_where_shared(tmp_path / "b.csv", {"odd": late}), tmp_path / "b", {})
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    cells = Evidence.of(runs).summary.cells
    place = ("d", "unsaid", "unsaid", "unsaid")
    assert [cells[Key(*place, rule)].n for rule in ("random", "margin", "odd")] == [3, 3, 0]
    assert cells[Key(*place, "odd")].outcomes == {"unusable": 3}
    (reason,) = cells[Key(*place, "odd")].reasons
    assert reason == "3 done, but it begins at 30 labels, the others of its setting at 10: in no table"

    ours = runs.rounds[(runs.rounds["strategy"] == "odd") & (runs.rounds["seed"] == 0)].assign(bought_by="strategy")
    both = pd.concat([runs.rounds[runs.rounds["strategy"] != "odd"], ours])
    assert {(odd.strategy, odd.usual) for odd in odd_trials(both)} == {("random", late), ("margin", late)}

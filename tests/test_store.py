import json
import logging
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from albench.benchmark.types import Budget, Count, Outcome, Part, Round, Scores, Segment, Trial, TrialEnd
from albench.results import parts, schema
from albench.results.store import RunStore, StorageError

GOLDEN = Path(__file__).with_name("data") / "schema-v1"
BUDGET = Budget("low", Count(2), (Segment(Count(3), 3),))
MANIFEST = {"grid_id": "abc", "name": "tiny"}


def unlock(store: RunStore) -> None:
    """Leave a run as a killed writer does: unlocked, not compacted."""
    assert store._lock is not None
    store._lock.release()


def make_trial(strategy: str = "margin", seed: int = 0) -> Trial:
    part = Part(strategy, '{"k":1}', label=f"{strategy}(k=1)")
    return Trial(Part("digits"), Part("pixels"), Part("linear"), part, BUDGET, seed, "f00d")


def make_round(
    index: int, selected: ArrayLike, n_labelled: int, accuracy: float = 0.5, nll: float | None = None
) -> Round:
    return Round(
        index=index,
        selected=np.asarray(selected, dtype=np.int64),
        n_labelled=n_labelled,
        class_counts=np.array([n_labelled, 0], dtype=np.int32),
        bought_by="strategy" if index else "initial",
        scores=Scores(accuracy, 0.25, 0.125, nll, nll),
        select_s=0.1,
        fit_s=0.2,
        eval_s=0.3,
        peak_rss_mb=100.0,
    )


def make_rows(trial: Trial, n_rounds: int = 3, first: int = 0, accuracy: float = 0.5) -> list[dict[str, Any]]:
    """Rows of rounds of 4 labels each: round r has bought 4r..4r+3."""
    rounds = [make_round(r, np.arange(4 * r, 4 * r + 4), 4 * (r - first + 1), accuracy) for r in range(n_rounds)]
    return [schema.round_row(trial, round_, 1000 + round_.index) for round_ in rounds[first:]]


def make_end(trial: Trial, outcome: Outcome = Outcome.DONE, attempts: int = 1, ended_at: int = 2000) -> dict[str, Any]:
    end = TrialEnd(trial.trial_id, outcome, "reason", "trace", 1.5, attempts, "host", "cpu")
    return schema.trial_row(trial, end, ended_at)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def create(directory: Path) -> RunStore:
    return RunStore.create(directory, "name: tiny\n", MANIFEST)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def write_parts(directory: Path, n: int) -> Trial:
    """A run of one trial with n rounds, one part for each; returns the trial."""
    trial = make_trial()
    store = create(directory)
    for row in make_rows(trial, n):
        store.add_rounds([row])
        store.flush()
    unlock(store)
    return trial


rows_of_rounds = st.lists(
    st.tuples(
        st.text(max_size=5),  # strategy
        st.integers(0, 5),  # seed
        st.lists(st.integers(0, 2**40), max_size=5),  # selected
        st.floats(0, 1),
        st.none() | st.floats(0, 100),
    ),
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(rows_of_rounds, st.integers(1, 4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[str, int, list[int], float, float | None]],
    per_flush: int,
) -> None:
    rows = {}
    for i, (strategy, seed, selected, accuracy, nll) in enumerate(values):
        row = schema.round_row(make_trial(strategy or "x", seed), make_round(i, selected, i, accuracy, nll), i)
        rows[row["trial_id"], row["round"]] = row
    directory = tmp_path_factory.mktemp("run") / "run"
    with create(directory) as store:
        for i, row in enumerate(rows.values()):
            store.add_rounds([row])
            if i % per_flush == 0:
                store.flush()
    frame = RunStore.open(directory).rounds()
    assert pa.Schema.from_pandas(frame).names == schema.ROUNDS.names
    expected = [rows[key] for key in sorted(rows)]
    assert pa.Table.from_pandas(frame, schema=schema.ROUNDS, preserve_index=False).to_pylist() == expected


def test_a_trial_end_is_read_back_and_the_latest_attempt_counts(directory: Path) -> None:
    a, b = make_trial(seed=0), make_trial(seed=1)
    with create(directory) as store:
        store.add_trials([make_end(a, Outcome.OOM), make_end(b)])
        store.flush()
        store.add_trials([make_end(a, attempts=2, ended_at=3000)])
    frame = RunStore.open(directory).trials()
    assert frame["trial_id"].tolist() == [a.trial_id, b.trial_id]
    assert frame["attempts"].tolist() == [2, 1]
    assert frame.iloc[0].to_dict() == make_end(a, attempts=2, ended_at=3000)


def test_the_folder_is_plain_parquet_for_anybody(directory: Path) -> None:
    write_parts(directory, 3)
    frame = pd.read_parquet(directory / "rounds")
    assert frame["selected"].map(list).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert frame["strategy"].unique().tolist() == ["margin(k=1)"]


def test_an_empty_run_has_empty_frames(directory: Path) -> None:
    create(directory).close()
    store = RunStore.open(directory)
    assert (len(store.rounds()), len(store.trials()), store.purchases()) == (0, 0, {})
    assert list(store.rounds().columns) == schema.ROUNDS.names
    assert store.grid_yaml == "name: tiny\n"


def test_flush_if_due_waits(directory: Path) -> None:
    with create(directory) as store:
        store.add_rounds(make_rows(make_trial()))
        store.flush_if_due(seconds=3600)
        assert not list(directory.glob("rounds/*"))
        store.flush_if_due(seconds=0)
        assert len(list(directory.glob("rounds/*"))) == 1


def test_rounds_are_there_before_the_end_that_needs_them(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(parts, "write_part", lambda part, table: written.append(part.parent.name))
    with create(directory) as store:
        store.add_trials([make_end(make_trial())])
        store.add_rounds(make_rows(make_trial()))
        store.flush()
    assert written == ["rounds", "trials"]


def test_the_plan_is_read_back_and_may_be_missing_or_damaged(directory: Path) -> None:
    with create(directory) as store:
        assert store.plan() is None
        store.write_plan([make_trial(seed=0)])
        store.write_plan([make_trial(seed=1), make_trial(seed=0)])
    plan = RunStore.open(directory).plan()
    assert plan is not None
    assert plan["trial_id"].tolist() == [make_trial(seed=1).trial_id, make_trial(seed=0).trial_id]
    (directory / "plan.parquet").write_bytes(b"PAR1")
    reader = RunStore.open(directory)
    assert reader.plan() is None
    assert "plan.parquet cannot be read" in reader.notices[0]


# --- one writer, the right grid ------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_a_reader_is_not(directory: Path) -> None:
    with create(directory):
        with pytest.raises(StorageError, match=rf"{directory}: another run is writing here") as error:
            create(directory)
        assert "\n" not in str(error.value)
        RunStore.open(directory).rounds()
    create(directory).close()


def test_a_reader_cannot_write(directory: Path) -> None:
    create(directory).close()
    with pytest.raises(StorageError, match="open for reading only"):
        RunStore.open(directory).flush()


def test_another_grid_is_refused_and_nothing_is_touched(directory: Path) -> None:
    create(directory).close()
    before = {name: (directory / name).read_bytes() for name in files(directory)}
    with pytest.raises(StorageError, match=r"holds another grid: tiny abc, not other xyz; give .* another --out"):
        RunStore.create(directory, "name: other\n", {"grid_id": "xyz", "name": "other"})
    assert {name: (directory / name).read_bytes() for name in files(directory)} == before


def test_a_folder_of_something_else_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StorageError, match=r"something else \(thesis.tex\)"):
        create(tmp_path)
    assert files(tmp_path) == ["thesis.tex"]
    with pytest.raises(StorageError, match="no albench run"):
        RunStore.open(tmp_path)
    with pytest.raises(StorageError, match="cannot be written"):
        create(tmp_path / "thesis.tex")


def test_a_broken_manifest_is_named(directory: Path) -> None:
    create(directory).close()
    for text in ("{", "[]"):
        (directory / "manifest.json").write_text(text)
        with pytest.raises(StorageError, match=r"manifest.json is not a manifest"):
            create(directory)


def test_the_manifests_of_earlier_writers_are_kept(directory: Path) -> None:
    for commit in ("one", "one", "two"):
        RunStore.create(directory, "name: tiny\n", {**MANIFEST, "commit": commit}).close()
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest == {**MANIFEST, "commit": "two", "earlier": [{**MANIFEST, "commit": "one"}]}


# --- kills ---------------------------------------------------------------------------------------------------------


def test_what_a_kill_before_the_rename_leaves_is_swept(directory: Path) -> None:
    write_parts(directory, 1)
    for leftover in (".manifest.json.tmp", "rounds/.part-000001.parquet.tmp", "trials/.part-000000.parquet.tmp"):
        (directory / leftover).write_bytes(b"half")
    assert len(RunStore.open(directory).rounds()) == 1  # a reader passes over them
    create(directory).close()
    assert not [name for name in files(directory) if name.endswith(".tmp")]


def test_a_kill_before_the_first_manifest_does_not_lock_out_the_next(directory: Path) -> None:
    directory.mkdir()
    (directory / ".lock").touch()
    (directory / ".manifest.json.tmp").write_text("{")
    create(directory).close()
    assert json.loads((directory / "manifest.json").read_text()) == MANIFEST


@pytest.mark.parametrize("killed_after", range(6))
def test_compaction_killed_anywhere_loses_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    trial = write_parts(directory, 4)
    expected = RunStore.open(directory).rounds()
    steps = iter(range(killed_after))

    def killed(step: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **kwargs: object) -> object:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return step(*args, **kwargs)

        return run

    store = create(directory)
    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_part", killed(parts.write_part))
        patch.setattr(Path, "unlink", killed(Path.unlink))
        try:
            store.compact()
        except KeyboardInterrupt:
            pass
        else:
            assert killed_after == 5  # one new part, four old ones
    unlock(store)
    reader = RunStore.open(directory)
    pd.testing.assert_frame_equal(reader.rounds(), expected)
    assert reader.notices == []
    create(directory).close()
    assert len(list(directory.glob("rounds/*"))) == 1
    pd.testing.assert_frame_equal(RunStore.open(directory).rounds(), expected)
    assert [list(rows) for rows in RunStore.open(directory).purchases()[trial.trial_id]] == [
        [4 * r, 4 * r + 1, 4 * r + 2, 4 * r + 3] for r in range(4)
    ]


def test_many_parts_are_joined_when_a_run_starts_and_when_it_ends(directory: Path) -> None:
    write_parts(directory, 51)
    store = create(directory)
    assert len(list(directory.glob("rounds/*"))) == 1
    for row in make_rows(make_trial(seed=1), 2):
        store.add_rounds([row])
        store.flush()
    store.close()
    assert len(list(directory.glob("rounds/*"))) == 1
    assert len(RunStore.open(directory).rounds()) == 53


def test_compaction_keeps_the_order_of_attempts(directory: Path) -> None:
    trial = make_trial()
    with create(directory) as store:
        for attempts in (1, 2, 3):
            store.add_trials([make_end(trial, attempts=attempts)])
            store.flush()
        store.compact()
        store.add_trials([make_end(trial, attempts=4)])
        store.flush()
        assert store.trials()["attempts"].tolist() == [4]
        store.compact()
        assert store.trials()["attempts"].tolist() == [4]


# --- damage --------------------------------------------------------------------------------------------------------


def test_a_truncated_part_is_named_and_set_aside_by_the_writer_only(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = write_parts(directory, 3)
    bad = directory / "rounds" / "part-000001.parquet"
    bad.write_bytes(bad.read_bytes()[:-10])
    reader = RunStore.open(directory)
    assert reader.rounds()["round"].tolist() == [0, 2]
    assert len(reader.notices) == 1
    assert f"{bad} cannot be read and is left out" in reader.notices[0]
    assert bad.exists()
    with caplog.at_level(logging.WARNING), create(directory) as store:
        assert [list(rows) for rows in store.purchases()[trial.trial_id]] == [[0, 1, 2, 3]]  # up to the gap
        store.add_rounds(make_rows(trial)[1:])  # so the trial does them again
    assert not bad.exists()
    assert bad.with_name("part-000001.parquet.corrupt").exists()
    assert "set aside as part-000001.parquet.corrupt" in caplog.text
    again = RunStore.open(directory)
    assert again.rounds()["round"].tolist() == [0, 1, 2]
    assert again.notices == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_what_is_no_parquet_is_a_damaged_part(directory: Path, content: bytes) -> None:
    write_parts(directory, 1)
    (directory / "rounds" / "part-000009.parquet").write_bytes(content)
    store = RunStore.open(directory)
    assert len(store.rounds()) == 1
    assert "part-000009.parquet" in store.notices[0]


def test_foreign_parquet_is_a_damaged_part(directory: Path) -> None:
    write_parts(directory, 1)
    pq.write_table(pa.table({"a": [1]}), directory / "rounds" / "part-000009.parquet")
    store = RunStore.open(directory)
    assert len(store.rounds()) == 1
    assert "no schema version" in store.notices[0]


def test_a_part_that_cannot_be_opened_now_is_not_taken_for_damaged(directory: Path) -> None:
    write_parts(directory, 1)
    loop = directory / "rounds" / "part-000009.parquet"
    loop.symlink_to(loop)
    with pytest.raises(StorageError, match=r"part-000009.parquet cannot be read"):
        create(directory)
    assert loop.is_symlink()


def test_a_reader_starts_over_when_a_part_goes_while_it_reads(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parts(directory, 3)
    read = parts.read_part

    def compacted_meanwhile(part: Path) -> pa.Table:
        if part.name == "part-000001.parquet":
            monkeypatch.undo()
            create(directory).close()
        return read(part)

    monkeypatch.setattr(parts, "read_part", compacted_meanwhile)
    reader = RunStore.open(directory)
    assert reader.rounds()["round"].tolist() == [0, 1, 2]
    assert parts.read_part is read
    assert [part.name for part in directory.glob("rounds/*")] == ["part-000003.parquet"]


def test_a_newer_schema_is_an_error_that_names_both_versions(directory: Path) -> None:
    write_parts(directory, 1)
    part = directory / "rounds" / "part-000000.parquet"
    table = pq.read_table(part).replace_schema_metadata({schema.VERSION_KEY: b"7"})
    pq.write_table(table, part)
    before = files(directory)
    for use in (create, lambda path: RunStore.open(path).rounds()):
        with pytest.raises(StorageError, match="schema version 7, this albench reads up to 1"):
            use(directory)
    assert files(directory) == before


def test_an_older_schema_is_migrated(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parts(directory, 1)
    monkeypatch.setattr(parts, "SCHEMA_VERSION", 2)
    monkeypatch.setitem(schema.MIGRATIONS, 1, lambda table: table.set_column(7, "seed", pa.array([41])))
    assert RunStore.open(directory).rounds()["seed"].tolist() == [41]


def test_golden_files_of_version_1_stay_readable(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "run")
    store = RunStore.open(tmp_path / "run")
    trial = make_trial()
    rounds, trials = store.rounds(), store.trials()
    assert store.notices == []
    assert rounds["accuracy"].tolist() == [0.5, 0.5, 0.5]
    assert rounds["selected"].map(list).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert rounds["trial_id"].unique().tolist() == [trial.trial_id]
    assert rounds["nll"].isna().all()
    assert trials.iloc[0].to_dict() == make_end(trial)


# --- repeated rounds and resume ------------------------------------------------------------------------------------


def test_a_round_done_twice_counts_once_and_only_a_different_answer_is_reported(directory: Path) -> None:
    same, different = make_trial(seed=0), make_trial(seed=1)
    with create(directory) as store:
        store.add_rounds([*make_rows(same), *make_rows(different)])
        store.flush()
        store.add_rounds([{**row, "fit_s": 9.0, "ended_at": 5} for row in make_rows(same)])
        store.add_rounds(make_rows(different, accuracy=0.75))
    reader = RunStore.open(directory)
    assert reader.rounds()["accuracy"].tolist() == [0.5] * 6
    assert len(reader.notices) == 1
    assert "3 rounds gave another answer" in reader.notices[0]
    assert different.trial_id in reader.notices[0]
    assert same.trial_id not in reader.notices[0]


def test_purchases_may_start_at_round_one_and_stop_at_a_gap(directory: Path) -> None:
    cold, gap, headless = make_trial(seed=0), make_trial(seed=1), make_trial(seed=2)
    with create(directory) as store:
        store.add_rounds(make_rows(cold, 3, first=1))
        store.add_rounds([row for row in make_rows(gap, 5) if row["round"] != 2])
        store.add_rounds([row for row in make_rows(headless, 3) if row["round"] != 0])  # its initial labels are lost
    bought = RunStore.open(directory).purchases()
    assert {key: [list(rows) for rows in value] for key, value in bought.items()} == {
        cold.trial_id: [[4, 5, 6, 7], [8, 9, 10, 11]],
        gap.trial_id: [[0, 1, 2, 3], [4, 5, 6, 7]],
    }
    assert all(rows.dtype == np.int64 for value in bought.values() for rows in value)


# --- a disk that refuses -------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
from pathlib import Path
from albench.results.store import RunStore, StorageError

directory = Path(sys.argv[1])
store = RunStore.create(directory, "name: tiny", {"grid_id": "abc"})
row = dict.fromkeys(["trial_id", "dataset", "embedding", "learner", "strategy", "budget"], "x")
row |= {"seed": 0, "n_labelled": 1, "selected": [1], "class_counts": [1]}
store.add_rounds([row | {"round": i} for i in range(9)])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    store.flush()
except StorageError as error:
    print(error)
print(sorted(path.name for path in directory.glob("rounds/*")))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.close()
print(len(RunStore.open(directory).rounds()))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes")
def test_a_full_disk_is_one_line_and_the_rows_are_written_when_there_is_room(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(directory)], capture_output=True, text=True, check=True, timeout=60
    )
    error, left_behind, rows = done.stdout.splitlines()
    assert error == f"{directory}/rounds/part-000000.parquet cannot be written: File too large"
    assert (left_behind, rows) == ("[]", "9")

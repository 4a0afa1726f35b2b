import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs import MANIFEST, create, files, make_end, make_round, make_rows, make_trial, write_parts

from albench.benchmark.types import Outcome, Used
from albench.results.record import parts, schema
from albench.results.record.store import RunStore, StorageError

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


def test_what_was_used_of_a_card_is_kept_and_is_no_part_of_the_answer(directory: Path) -> None:
    trial, there = make_trial(), make_round(0, [0], 1)
    with create(directory) as store:
        for used in (Used(1.5, 200.0, None), Used(3.0, 100.0, 7.0), None):  # the same round, done again
            store.add_rounds([schema.round_row(trial, replace(there, card=used), 1)])
        store.flush()
    store = RunStore.open(directory)
    (row,) = store.rounds()[[*schema.CARD]].to_dict("records")
    assert (row["gpu_s"], row["peak_gpu_mb"], np.isnan(row["energy_j"])) == (1.5, 200, True)
    assert store.notices == []


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
    assert {key: [list(batch.rows) for batch in value] for key, value in bought.items()} == {
        cold.trial_id: [[4, 5, 6, 7], [8, 9, 10, 11]],
        gap.trial_id: [[0, 1, 2, 3], [4, 5, 6, 7]],
    }
    assert all(batch.rows.dtype == np.int64 for value in bought.values() for batch in value)

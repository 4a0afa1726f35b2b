"""A run's files after kills, damage and a full disk."""

import json
import logging
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.runs import MANIFEST, create, files, make_end, make_rows, make_trial, unlock, write_parts

from albench.results.record import parts, schema
from albench.results.record.store import RunStore, StorageError

GOLDEN = Path(__file__).parents[2] / "data" / "schema-v1"

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
    assert [list(batch.rows) for batch in RunStore.open(directory).purchases()[trial.trial_id]] == [
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
        assert [list(batch.rows) for batch in store.purchases()[trial.trial_id]] == [[0, 1, 2, 3]]  # up to the gap
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
    assert rounds[["nll", *schema.CARD]].isna().all(axis=None)
    assert trials.iloc[0].to_dict() == make_end(trial)


# --- a disk that refuses -------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
from pathlib import Path
from albench.results.record.store import RunStore, StorageError

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

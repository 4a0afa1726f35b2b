"""A run from somebody else is data, not trusted: damage is found, nothing is waited for, nothing outside is touched."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.commands import everything_below, invoke
from support.runs import MANIFEST, create, make_end, make_rows, make_trial, write_parts

from albench.results.measures.evidence import read_runs
from albench.results.record import parts, schema, seal
from albench.results.record.store import RunStore, StorageError
from albench.results.report.report import status_lines, write_report

# --- flipped bits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rounds/part-000000.parquet", "trials/part-000000.parquet", "plan.parquet"])
def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(directory: Path, name: str) -> None:
    trial = make_trial()
    with create(directory) as store:
        store.write_plan([trial], lambda _: 8)
        store.add_rounds(make_rows(trial))
        store.add_trials([make_end(trial)])
    part, layout = directory / name, schema.PLAN if name == "plan.parquet" else None
    good, content = parts.read_part(part, layout), part.read_bytes()
    for i in [*range(0, len(content), 13), *range(len(content) - 60, len(content))]:
        damaged = bytearray(content)
        damaged[i] ^= 1 << i % 8
        part.write_bytes(damaged)
        try:
            assert parts.read_part(part, layout).equals(good), i
        except parts.CorruptPartError:
            pass
        else:
            assert seal._MARK in content[i - 15 : i + 15]  # only a bit of the mark goes unseen


def test_a_flipped_bit_costs_its_part_and_the_line_names_it_and_what_to_do(directory: Path) -> None:
    write_parts(directory, 3)
    part = directory / "rounds" / "part-000001.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 4
    part.write_bytes(content)
    reader = RunStore.open(directory)
    assert reader.rounds()["round"].tolist() == [0, 2]
    assert reader.notices == [
        f"{part} cannot be read and is left out: its bytes are not those that were written (sha256); what it held is"
        " done again, when the grid is run again"
    ]
    create(directory).close()
    assert part.with_name(f"{part.name}.corrupt").exists()


def test_page_checksums_are_there_for_other_readers(directory: Path) -> None:
    write_parts(directory, 1)
    part = directory / "rounds" / "part-000000.parquet"
    content = bytearray(part.read_bytes())
    content[20] ^= 1
    part.write_bytes(content)
    with pytest.raises((OSError, pa.ArrowInvalid)):
        pq.read_table(part, partitioning=None, page_checksum_verification=True)


# --- what is no file -----------------------------------------------------------------------------------------------


def fifo(path: Path) -> None:
    os.mkfifo(path)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "is a link to nothing"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "folder": (lambda path: path.mkdir(), "is a folder, no file"),
    "pipe": (fifo, "is a pipe, no file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device, no file"),
}


@pytest.mark.parametrize(("make", "why"), NO_FILES.values(), ids=NO_FILES)
@pytest.mark.parametrize("name", ["rounds/part-000009.parquet", "plan.parquet", "firsts.parquet", "grid.yaml"])
def test_what_is_no_file_is_a_line_and_the_rest_is_read(
    directory: Path, name: str, make: Callable[[Path], None], why: str
) -> None:
    write_parts(directory, 2)
    (directory / name).unlink(missing_ok=True)
    make(directory / name)
    runs = read_runs([directory])
    assert len(runs.rounds) == 2
    (line,) = runs.notices
    assert name in line
    assert why in line


@pytest.mark.parametrize(("make", "why"), NO_FILES.values(), ids=NO_FILES)
def test_a_manifest_that_is_no_file_is_a_line(directory: Path, make: Callable[[Path], None], why: str) -> None:
    write_parts(directory, 2)
    (directory / "manifest.json").unlink()
    make(directory / "manifest.json")
    with pytest.raises(StorageError, match=why):
        RunStore.open(directory)
    with pytest.raises(StorageError, match="is a link out of its folder" if "link to" in why else "manifest.json"):
        create(directory)
    assert any(why in line for line in status_lines(directory))


@pytest.mark.parametrize("make", [fifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.write_text("")])
def test_a_table_that_is_no_folder_is_a_line(directory: Path, make: Callable[[Path], None]) -> None:
    write_parts(directory, 1)
    for part in (directory / "trials").iterdir():
        part.unlink()
    (directory / "trials").rmdir()
    make(directory / "trials")
    assert "trials is no folder" in status_lines(directory)[-1]
    with pytest.raises(StorageError, match=r"trials is (no folder|a link out of its folder)"):
        create(directory)


# --- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rounds", "trials", "report", ".lock", "mlflow.db", "mlflow.log", "mlartifacts"])
def test_nothing_is_written_or_deleted_through_a_link_out_of_a_run(directory: Path, name: str) -> None:
    write_parts(directory, 2)
    outside = directory.parent / "outside"
    place = directory / name
    if place.is_dir():
        place.rename(outside)
    else:
        outside.mkdir()
        place.unlink(missing_ok=True)
    (outside / ".x.tmp").write_text("precious")
    (outside / "files.txt").write_text("report.md\n.x.tmp")
    place.symlink_to(outside if name in {"rounds", "trials", "report", "mlartifacts"} else outside / ".x.tmp")
    before = everything_below(outside)
    with pytest.raises(StorageError, match=f"{name} is a link out of its folder"):
        create(directory)
    assert invoke("mlflow-sync", directory).status == 2
    said = invoke("report", directory, "--tables")
    assert (said.status, "is a link out of its folder" in said.err) == (2, True)
    assert everything_below(outside) == before
    assert "1 trials: 1 left" in invoke("status", directory).out  # to read does no harm


def test_a_report_is_not_written_through_a_link_in_its_own_folder(directory: Path) -> None:
    write_parts(directory, 2)
    outside = directory.parent / "outside"
    outside.mkdir()
    (directory / "report").mkdir()
    (directory / "report" / "tables").symlink_to(outside)
    with pytest.raises(StorageError, match="tables is a link out of its folder"):
        write_report([directory], directory / "report", tables_only=True)
    assert not any(outside.iterdir())


def test_the_temporary_name_of_a_part_may_be_a_link(directory: Path) -> None:
    write_parts(directory, 1)
    (directory.parent / "precious").write_text("precious")
    (directory / "rounds" / ".part-000001.parquet.tmp").symlink_to(directory.parent / "precious")
    with create(directory) as store:
        store.write_plan([make_trial()])
        store.add_rounds(make_rows(make_trial(seed=1)))
    assert (directory.parent / "precious").read_text() == "precious"
    assert len(RunStore.open(directory).rounds()) == 4


def test_a_run_may_be_reached_through_a_link_and_hold_links_within(directory: Path) -> None:
    write_parts(directory, 1)
    (directory / "latest").symlink_to("rounds")
    (directory / ".#grid.yaml").symlink_to("me@here.4711")  # an editor's lock
    link = directory.parent / "link"
    link.symlink_to(directory)
    create(link).close()


# --- values --------------------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[str, Any, str]] = {
    "a row before the first": ("selected", [-1], "column selected has a value that cannot be (-1)"),
    "an accuracy in percent": ("accuracy", 97.0, "column accuracy has a value that cannot be (97.0)"),
    "an endless time": ("fit_s", float("inf"), "column fit_s has a value that cannot be (inf)"),
    "no number of labels": ("n_labelled", None, "column n_labelled has a row without a value"),
    "no name": ("strategy", None, "column strategy has a row without a value"),
    "a list with a hole": ("selected", [1, None], "column selected has a list without a value"),
    "a round before the first": ("round", -5, "column round has a value that cannot be (-5)"),
}


@pytest.mark.parametrize(("column", "value", "why"), VALUES.values(), ids=VALUES)
def test_a_value_that_cannot_be_costs_its_part_and_is_named(directory: Path, column: str, value: Any, why: str) -> None:
    write_parts(directory, 2)
    part = directory / "rounds" / "part-000001.parquet"
    rows = parts.read_part(part).to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.ROUNDS), part)
    reader = RunStore.open(directory)
    assert reader.rounds()["round"].tolist() == [0]
    assert why in reader.notices[0]


def test_texts_that_are_no_utf8_are_found(directory: Path) -> None:
    write_parts(directory, 2)
    part = directory / "rounds" / "part-000001.parquet"
    table = parts.read_part(part)
    bad = pa.array([b"\xff\xfe"]).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("strategy"), "strategy", bad), part)
    reader = RunStore.open(directory)
    assert reader.rounds()["round"].tolist() == [0]
    assert "part-000001.parquet cannot be read" in reader.notices[0]


def test_an_outcome_of_no_kind_is_named(directory: Path) -> None:
    with create(directory) as store:
        store.add_trials([{**make_end(make_trial()), "outcome": "excellent"}])
    assert "column outcome has a value that cannot be ('excellent')" in status_lines(directory)[-1]


def test_nothing_of_a_record_reaches_the_terminal_as_an_escape(directory: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m<script>alert(1)</script>"
    with RunStore.create(
        directory, f"name: x\n# {evil}", {**MANIFEST, "name": evil, "order": {"strategy": [evil]}}
    ) as store:
        rows = [{**row, "strategy": evil, "dataset": evil} for row in make_rows(make_trial())]
        store.add_rounds(rows)
        store.add_trials([{**make_end(make_trial()), "strategy": evil, "outcome": "failed", "reason": evil}])
    said = [invoke("status", directory), invoke("report", directory)]
    texts = [each.out + each.err for each in said]
    texts += [path.read_text() for path in (directory / "report").rglob("*") if path.is_file()]
    for text in texts:
        assert "\x1b" not in text
        assert "\x07" not in text
    page = (directory / "report" / "report.html").read_text()
    assert "<script>alert(1)" not in page
    assert "\\x1b[31m" in said[0].out


# --- manifests -----------------------------------------------------------------------------------------------------

MANIFESTS: dict[str, tuple[str, str]] = {
    "no text": ('{"grid_id": 1, "name": "tiny"}', "grid_id: Input should be a valid string"),
    "deep inside": ('{"grid_id": "abc", "order": {"seed": [1]}}', "order.seed.0: Input should be a valid string"),
    "nesting": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "it is nested too deeply"),
    "some nesting": ('{"a": ' + "[" * 90 + "]" * 90 + "}", "it is nested too deeply under a"),
    "not a number": ('{"cpus": NaN}', "NaN is no number"),
    "endless": ('{"cpus": 1e999}', "a number beyond 64 bits under cpus"),
    "huge": ('{"cpus": 1' + "0" * 100 + "}", "a number beyond 64 bits under cpus"),
    "of many digits": ('{"cpus": 1' + "0" * 10_000 + "}", "it is no JSON"),
    "twice": ('{"name": "a", "name": "b"}', "name stands twice"),
    "half a pair": ('{"name": "\\ud800"}', "half a surrogate pair under name"),
    "a list": ("[]", "it holds no JSON object"),
    "nothing": ("", "it is no JSON"),
    "too much": (" " * (2**24 + 1), "it has more than 16,777,216 bytes"),
}


@pytest.mark.parametrize(("content", "why"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_none_is_one_line_with_file_and_field(directory: Path, content: str, why: str) -> None:
    write_parts(directory, 2)
    (directory / "manifest.json").write_text(content)
    for attempt in (create, RunStore.open):
        with pytest.raises(StorageError) as error:
            attempt(directory)
        (line,) = str(error.value).splitlines()
        assert f"{directory / 'manifest.json'} is not a manifest of albench: " in line
        assert why in line
    lines = status_lines(directory)
    assert lines[0] == "1 trials: 1 left"
    assert "manifest.json" in lines[-1]

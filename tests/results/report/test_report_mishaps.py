"""Bad input of a report: a clear line about each, and the rest of the report is still made."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.runs import MANIFEST
from support.synthetic import STRATEGIES, write_run

from albench.results.measures.evidence import read_runs
from albench.results.record import schema
from albench.results.record.store import RunStore, StorageError
from albench.results.report import report


def small(directory: Path, seeds: int = 3, strategies: Sequence[str] = STRATEGIES[:4]) -> Path:
    """One setting, three rounds."""
    return write_run(directory, ("digits",), ("low",), strategies, seeds, rounds=3)


def made(directories: list[Path], out: Path) -> tuple[report.Report, str]:
    written = report.write_report(directories, out)
    text = (out / "report.md").read_text()
    assert "could not be made" not in text
    assert (out / "report.html").is_file()
    return written, text


def change(run: Path, table: str, **columns: dict[int, object]) -> None:
    """Write other values into some rows of a run's only part: ``accuracy={3: nan}``."""
    part = next((run / table).glob("*.parquet"))
    stored = pq.read_table(part)
    for name, values in columns.items():
        column = stored[name].to_pylist()
        for row, value in values.items():
            column[row] = value
        place = stored.schema.get_field_index(name)
        stored = stored.set_column(place, stored.schema.field(name), pa.array(column, stored.schema.field(name).type))
    pq.write_table(stored, part)


def n_of(written: report.Report) -> dict[str, int]:
    return {key.strategy: cell.n for key, cell in written.summary.cells.items()}


@pytest.mark.parametrize("value", [float("nan"), None])
def test_an_accuracy_that_is_no_number(value: float | None, tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    stored = pq.read_table(next((run / "rounds").glob("*.parquet"))).to_pandas()
    row = stored.index[(stored["strategy"] == "margin") & (stored["seed"] == 1) & (stored["round"] == 2)][0]
    change(run, "rounds", accuracy={row: value})
    written, text = made([run], tmp_path / "out")
    assert n_of(written) == {"random": 3, "margin": 2, "entropy": 3, "coreset": 3}
    assert "| digits/raw/linear, low, margin | 1 unusable | 1 done, but with an accuracy that is not a number" in text
    assert "13 trials: 12 done, 1 unusable" in text
    assert "nan" not in text


def test_times_and_counts_that_are_missing(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    n = len(pq.read_table(next((run / "rounds").glob("*.parquet"))))
    change(run, "rounds", **{name: dict.fromkeys(range(n)) for name in ("select_s", "fit_s", "peak_rss_mb", "nll")})
    change(run, "rounds", class_counts={i: [] for i in range(n)})
    written, text = made([run], tmp_path / "out")
    assert set(n_of(written).values()) == {3}
    assert "\n## Cost" not in text
    assert "\n## Class balance" not in text
    assert "nan" not in text


@pytest.mark.parametrize(("table", "n"), [("rounds", 0), ("trials", 0)])
def test_a_part_that_is_cut_off(table: str, n: int, tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    part = next((run / table).glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    written, text = made([run], tmp_path / "out")
    assert f"{part.name} cannot be read and is left out" in text
    assert set(n_of(written).values()) == {n}
    assert "The run is not over: 13 trials are left" in text


def test_a_manifest_that_is_cut_off_and_a_grid_that_is_gone(tmp_path: Path) -> None:
    run, other = small(tmp_path / "run"), small(tmp_path / "other", strategies=("badge",))
    (run / "manifest.json").write_text('{"grid_id": ')
    (run / "grid.yaml").unlink()
    written, text = made([run, other], tmp_path / "out")
    assert re.search(r"- \S*manifest.json is not a manifest of albench: .+; it is left out\n", text)
    assert re.search(r"- \S*grid.yaml cannot be read: No such file or directory; it is left out\n", text)
    assert "| one version of everything | not known | a manifest is missing |" in text
    assert set(n_of(written).values()) == {3}
    with pytest.raises(StorageError, match=r"manifest.json is not a manifest of albench: [^\n]+$"):
        RunStore.open(run)


@pytest.mark.parametrize(
    ("key", "value", "versions"),
    [
        ("order", ["a"], "yes | by the manifests"),
        ("order", {"dataset": ["digits", 1]}, "yes | by the manifests"),
        ("order", {"strategy": 3}, "yes | by the manifests"),
        ("earlier", [1], "not known | a manifest is missing"),
        ("earlier", "yesterday", "not known | a manifest is missing"),
        ("citations", ["Scheffer"], "yes | by the manifests"),
        ("citations", {"margin": 1}, "yes | by the manifests"),
        ("fingerprints", "f", "yes | by the manifests"),
        ("versions", 1, "yes | by the manifests"),
        ("replay", "of", "yes | by the manifests"),
    ],
)
def test_a_part_of_a_manifest_that_is_something_else(key: str, value: object, versions: str, tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, key: value}))
    written, text = made([run], tmp_path / "out")
    assert set(n_of(written).values()) == {3}
    line = f"manifest.json holds something else than albench writes under {key}; that is left out"
    assert text.count(line) == 1
    assert f"| one version of everything | {versions} |" in text


def test_several_parts_of_a_manifest_are_one_line_and_an_empty_one_is_said(tmp_path: Path) -> None:
    run, other = small(tmp_path / "run"), small(tmp_path / "other", strategies=("badge",))
    (run / "manifest.json").write_text('{"earlier": 1, "order": 1, "name": ["a"], "cpus": {"a": [1, {"b": null}]}}')
    (other / "manifest.json").write_text("{}")
    written, text = made([run, other], tmp_path / "out")
    assert text.count("albench writes under cpus, earlier, name, order; that is left out") == 1
    assert text.count("manifest.json is empty: nothing is known of where this run comes from") == 1
    assert "| one version of everything | not known | a manifest is missing |" in text
    assert set(n_of(written).values()) == {3}
    with pytest.raises(StorageError, match=r"manifest\.json is not a manifest of albench: name: .* string"):
        RunStore.open(run)  # a writer and a mirror are told, and write nothing


def test_two_runs_that_disagree_about_a_trial(tmp_path: Path) -> None:
    runs = [small(tmp_path / name, strategies=("random", "margin")) for name in ("one", "two")]
    stored = pq.read_table(next((runs[1] / "rounds").glob("*.parquet"))).to_pandas()
    row = stored.index[(stored["strategy"] == "margin") & (stored["seed"] == 1) & (stored["round"] == 2)][0]
    change(runs[1], "rounds", accuracy={row: 0.123})
    for directories, last in ((runs, None), (runs[::-1], 0.123)):
        written, text = made(directories, tmp_path / "out")
        line = next(line for line in text.splitlines() if "another answer in another run" in line)
        assert line.startswith("- 1 trial gave another answer in another run, first round 2 of trial")
        assert line.endswith("(margin, seed 1); the run with more rounds of it counts, the first of equals")
        values = next(c for k, c in written.summary.cells.items() if k.strategy == "margin").curves[30]
        assert (values.loc[1] == 0.123) == (last == 0.123)  # that of the first of them
        assert n_of(written) == {"random": 3, "margin": 3}
    assert "another answer" not in made([runs[0], runs[0]], tmp_path / "out")[1]


def test_of_a_trial_in_two_runs_no_chimera_is_made(tmp_path: Path) -> None:
    whole = small(tmp_path / "whole", strategies=("random",))
    part = small(tmp_path / "part", strategies=("random",))
    stored = pq.read_table(next((part / "rounds").glob("*.parquet")))
    kept = stored.filter(pa.compute.less(stored["round"], 2))
    pq.write_table(kept, next((part / "rounds").glob("*.parquet")))
    change(part, "rounds", accuracy=dict.fromkeys(range(len(kept)), 0.5))  # other numbers, and fewer rounds
    merged, alone = read_runs([part, whole]), read_runs([whole])
    assert len(merged.notices) == 1
    ours, theirs = (runs.rounds.query("budget == 'low'")["accuracy"].tolist() for runs in (merged, alone))
    assert ours == theirs


def test_parts_of_several_schema_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = small(tmp_path / "old", strategies=("random",))
    new = small(tmp_path / "new", strategies=("margin",))
    for table in ("rounds", "trials"):
        part = next((old / table).glob("*.parquet"))
        stored = pq.read_table(part)
        pq.write_table(stored.replace_schema_metadata({schema.VERSION_KEY: b"0"}), part)
    monkeypatch.setitem(schema.MIGRATIONS, 0, lambda table: table)
    written, _ = made([old, new], tmp_path / "out")
    assert n_of(written) == {"random": 3, "margin": 3}


@pytest.mark.parametrize("what", ["trials", "plan"])
def test_a_newer_schema_is_left_out_and_the_line_says_what_to_do(what: str, tmp_path: Path) -> None:
    run, other = small(tmp_path / "run", strategies=("margin",)), small(tmp_path / "other", strategies=("random",))
    part = next((run / "trials").glob("*.parquet"))
    newer = pq.read_table(part).replace_schema_metadata({schema.VERSION_KEY: b"999"})
    pq.write_table(newer, part if what == "trials" else run / "plan.parquet")
    written, text = made([run, other], tmp_path / "out")
    assert re.search(r"schema version 999, this albench reads up to \d+: update albench; it is left out\n", text)
    assert n_of(written) == {"random": 3, "margin": 0 if what == "trials" else 3}


def test_one_seed(tmp_path: Path) -> None:
    run = small(tmp_path / "run", seeds=1)
    written, text = made([run], tmp_path / "out")
    assert set(n_of(written).values()) == {1}
    assert "one seed: no interval can be given" in text
    assert "nan" not in text


def test_an_empty_run_and_one_that_has_just_begun(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", "name: tiny", MANIFEST):
        _, text = made([tmp_path / "run"], tmp_path / "out")
        assert "there is nothing to compare yet" in text


def test_only_bounds(tmp_path: Path) -> None:
    run = small(tmp_path / "run", strategies=())
    written, text = made([run], tmp_path / "out")
    assert (len(written.summary.cells), len(written.summary.bounds)) == (0, 1)
    assert "no trial of a strategy is finished" in text

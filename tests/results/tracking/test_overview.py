"""What a run shows of itself as a whole, where it has ended."""

from pathlib import Path

import pytest
from support.tracking import T0, Row, dump, end_of, rounds_of, write

from albench.results.tracking.follower import default_uri, sync


def test_when_a_run_has_ended_its_trials_have_their_values_and_the_parent_the_leaderboard_and_the_report(
    tmp_path: Path,
) -> None:
    """Margin gains 20 points over random at each of the seeds 1 and 2, and 0 at 3; seed 4 of random is missing."""
    rounds, ends = [], []
    for number, (strategy, seed) in enumerate([(s, n) for s in ("random", "margin") for n in (1, 2, 3, 4)][:-1]):
        names = {"strategy": strategy, "seed": seed, "strategy_params": '{"k":2,"of":"bald"}'}
        lift = 0.2 if strategy == "margin" and seed < 3 else 0.0
        for r, row in enumerate(rounds_of(number, range(3))):
            curve = {"accuracy": 0.1 * seed + 0.1 * r + lift, "selected": list(range(10 * r, 10 * r + 10))}
            rounds.append(row | names | curve)
        ends.append(end_of(number) | names)
    never = end_of(9, "unsupported") | {
        "dataset": "wine",
        "ended_at": 0,
        "wall_s": 0.0,
    }  # it began and ended at no time
    directory = write(tmp_path / "run", rounds, [*ends, never])
    (directory / "report" / "tables").mkdir(parents=True)
    (directory / "report" / "report.md").write_text("# the report")
    (directory / "report" / "tables" / "gain.csv").write_text("1")
    database = directory / "mlflow.db"
    sync(directory, default_uri(directory))
    tables = dump(database)
    metrics: dict[str, Row] = {}
    for row in tables["latest_metrics"]:
        metrics.setdefault(row["run_uuid"], {})[row["key"]] = row["value"], row["step"]
    told = {row["run_uuid"]: row["value"] for row in tables["tags"] if row["key"] == "albench.trial_id"}
    by_trial = {told[run]: values for run, values in metrics.items() if run in told}
    trial = by_trial[f"{4:016x}"]  # margin, seed 1
    assert trial["final"] == (pytest.approx(0.5), 30)
    assert trial["aubc"] == (pytest.approx(0.4), 30)
    assert trial["gain"] == (pytest.approx(20), 30)
    assert "gain" not in by_trial[f"{0:016x}"]
    (parent,) = {row["run_uuid"] for row in tables["runs"]} - set(told)
    assert min(row["start_time"] for row in tables["runs"] if row["run_uuid"] == parent) > T0 - 60_000
    assert metrics[parent]["gain/margin"] == (pytest.approx(40 / 3), 0)
    assert {key: value for key, (value, _) in metrics[parent].items() if key.startswith("rank")} == {
        "rank/margin": 1.0,
        "rank/random": 2.0,
    }
    tags = {row["key"]: row["value"] for row in tables["tags"] if row["run_uuid"] == parent}
    assert "| margin | 1.00" in tags["mlflow.note.content"]
    there = directory / "mlartifacts" / parent / "artifacts"
    files = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
    assert files == ["grid.yaml", "manifest.json", "report/report.md", "report/tables/gain.csv"]
    kinds = {row["key"]: row["value"] for row in tables["experiment_tags"]}
    assert kinds["mlflow.experimentKind"] == "custom_model_development"
    params = {row["key"]: row["value"] for row in tables["params"] if told.get(row["run_uuid"]) == f"{4:016x}"}
    assert (params["strategy.k"], params["strategy.of"]) == ("2", "bald")

    assert sync(directory, default_uri(directory)).written == 0
    assert dump(database) == tables
    (directory / "report" / "report.md").write_text("# another one")
    sync(directory, default_uri(directory))
    assert (there / "report" / "report.md").read_text() == "# another one"

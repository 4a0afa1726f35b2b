"""An MLflow server as a tracker: a few requests for each trial, several trials at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from .trackers import OUTCOME, PARENT, ROUNDS, RUN, TRIAL, VALUES, Held, Point, State, TrialRun, Written

_THREADS = 8  # a request is mostly waiting
_POINTS_PER_CALL = 900  # with params and tags MLflow takes 1000 values in one call


class Server:
    """A client of MLflow's. What the server itself fails at is raised, what it refuses of one trial is told."""

    batch = 64  # between two reports

    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)

    def experiment(self, name: str, artifacts: str, tags: Mapping[str, str]) -> tuple[str, bool]:
        """Artifacts are the server's own affair."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, tags=dict(tags))), True
            except MlflowException:  # somebody else has made it meanwhile?
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id), found.lifecycle_stage == "active"

    def held(self, experiment: str, identity: str) -> Iterator[Held]:
        condition, token = f"tags.`{RUN}` = '{identity}'", None
        while True:
            page = self._client.search_runs([experiment], condition, max_results=1000, page_token=token)
            for run in page:
                tags, info = run.data.tags, run.info
                state = State(info.status, info.end_time, tags.get(ROUNDS), tags.get(OUTCOME), tags.get(VALUES))
                yield Held(info.run_id, tags.get(PARENT), tags.get(TRIAL), state)
            token = page.token
            if not token:
                return

    def begin(self, experiment: str, name: str, started_at: int, tags: Mapping[str, str]) -> str:
        return str(self._client.create_run(experiment, started_at, dict(tags), run_name=name).info.run_id)

    def end(self, run_id: str, ended_at: int | None, tags: Mapping[str, str], points: Sequence[Point]) -> None:
        self._client.log_batch(run_id, [Metric(*point) for point in points[:_POINTS_PER_CALL]], tags=_tags(tags))
        if ended_at is not None:
            self._client.set_terminated(run_id, "FINISHED", ended_at)

    def tags(self, run_id: str) -> Mapping[str, str]:
        return dict(self._client.get_run(run_id).data.tags)

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        self._client.log_artifact(run_id, str(file), folder or None)

    def delete(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            self._client.delete_run(run_id)

    def write(self, experiment: str, runs: Sequence[TrialRun]) -> list[Written]:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            return list(pool.map(lambda run: self._write(experiment, run), runs))
        finally:
            pool.shutdown(cancel_futures=True)

    def _write(self, experiment: str, run: TrialRun) -> Written:
        run_id = run.run_id
        try:
            run_id = run_id or self.begin(experiment, run.name, run.started_at, run.birth)
            self._fill(run_id, run)
        except MlflowException as error:
            if error.get_http_status_code() >= 500:  # type: ignore[no-untyped-call]  # mlflow is typed in part
                raise
            return Written(run_id, str(error))
        return Written(run_id, None)

    def _fill(self, run_id: str, run: TrialRun) -> None:
        """Send the points, then, with the last of them, the tags that say so, then the status."""
        metrics = [Metric(*point) for point in run.points]
        while len(metrics) > _POINTS_PER_CALL:
            self._client.log_batch(run_id, metrics[:_POINTS_PER_CALL])
            metrics = metrics[_POINTS_PER_CALL:]
        params = [Param(key, value) for key, value in run.params.items()]
        self._client.log_batch(run_id, metrics, params, _tags(run.tags))
        if run.state.status != "RUNNING":
            self._client.set_terminated(run_id, run.state.status, run.state.end_time)


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in tags.items()]

"""Stored picks, scored by another learner or through another embedding: select on A, evaluate on B.

A replay is a run like any other: its trials stand in a table of their own, can be killed and continued, and its
report is that of any run. Only the rows are not chosen again: they are those of the run it comes from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..datasets.reading.base import Report, silent
from ..results.measures.evidence import Runs, read_runs
from ..results.record.schema import batch_of
from ..results.record.store import RunStore
from . import registry
from .grid import grid as grids
from .grid.document import GridError
from .grid.grid import Grid
from .grid.learners import both, choose_learner, untunable
from .grid.params import Build, Choice, choose
from .grid.study import Study, resolve
from .loop import Job
from .purchase import Purchase, Recorded
from .types import Outcome, Part, Trial, UserError, canonical_json


class ReplayError(UserError):
    """A run whose picks cannot be scored again; one line per problem."""


class _Key(NamedTuple):
    """The names of a trial, as tables print them."""

    dataset: str
    embedding: str
    learner: str
    budget: str
    strategy: str
    seed: int


@dataclass(frozen=True, eq=False)
class _Past:
    """What the run left behind: how each trial ended (trial id, outcome, reason), and what it bought, by trial id."""

    ends: Mapping[_Key, tuple[str, Outcome, str]]
    purchases: Mapping[str, tuple[Purchase, ...]]
    manifest: Mapping[str, Any]


class _Wanted(NamedTuple):
    """What scores the picks; None is what it was."""

    learner: Choice | None
    embedding: Choice | None

    @property
    def labels(self) -> dict[str, Any]:
        return {name: choice.part.label for name, choice in self._asdict().items() if choice}


def prepare(
    directory: Path, learner: str | None = None, embedding: str | None = None, report: Report = silent
) -> Study:
    """Return the study that scores the picks of a finished run by ``learner``, seen through ``embedding``.

    Both are said as in a grid; what is not given stays as it was. Budgets, seeds, initial labels and full-data bounds
    are those of the run. Labels say both sides where they differ (``simclr -> raw``). A trial that was not done
    there is unsupported here, with its reason. A strategy's needs do not matter: it is not asked.

    Raises
    ------
    ReplayError, StorageError
        When there are no picks, trials are left, or the data have changed since.
    GridError
        When learner or embedding do not exist, or do not suit the data.
    """
    wanted = _wanted(learner, embedding)
    past = _past(directory)
    grid = grids.parse(RunStore.open(directory).grid_yaml, str(directory / "grid.yaml"))
    if wanted.learner and (lines := list(untunable([wanted.learner], grid.budgets))):
        raise GridError(lines)
    wide = replace(
        grid,
        learners=_with(grid.learners, wanted.learner),
        embeddings=_with(grid.embeddings, wanted.embedding),
        resources=_resources(grid, wanted.learner),
    )
    study = resolve(wide, report=report)
    trials = {_key(trial): trial for trial in study.trials}
    own = {(embedding.part.label, learner.part.label) for embedding in grid.embeddings for learner in grid.learners}
    selected = [trial for trial in trials.values() if (trial.embedding.label, trial.learner.label) in own]
    _check(directory, past, study, selected)
    versions = past.manifest.get("versions", {})
    replayed = Study(_grid(grid, wanted, versions), facts=_facts(directory, past.manifest))
    for there in selected:
        here = trials[_key(there)._replace(**wanted.labels)]
        replayed.sources[here.fingerprint] = study.sources[here.fingerprint]
        _file(replayed, study, past, there, here)
    return replayed


def default_out(directory: Path, learner: str | None, embedding: str | None) -> Path:
    """Return where a replay goes: beside the run it comes from."""
    said = "-".join(re.sub(r"[^\w.+=]+", "-", part).strip("-") for part in (learner, embedding) if part)
    home = directory.resolve()
    return home.with_name(f"{home.name}-replay-{said}")


def _past(directory: Path) -> _Past:
    runs = read_runs([directory])
    (manifest,) = runs.manifests.values()
    if "replay" in manifest:
        raise ReplayError(f"{directory} is itself a replay, of {manifest['replay']['of']}: replay that run instead")
    if not runs.rounds["selected"].map(len).any():
        raise ReplayError(f"{directory} holds no picks (nothing is run yet, or its curves were imported)")
    trials = runs.trials
    keys = map(_Key, *(trials[name] for name in _Key._fields))
    ends = zip(trials["trial_id"], map(Outcome, trials["outcome"]), trials["reason"], strict=True)
    return _Past(dict(zip(keys, ends, strict=True)), _purchases(runs), manifest)


def _purchases(runs: Runs) -> dict[str, tuple[Purchase, ...]]:
    columns = ("trial_id", "selected", "chosen_by", "bought_by", "select_s")
    rounds = runs.rounds.sort_values(["trial_id", "round"])
    bought: dict[str, list[Purchase]] = {}
    for trial_id, rows, chosen_by, bought_by, select_s in zip(*(rounds[name] for name in columns), strict=True):
        batch = batch_of(rows, chosen_by)
        bought.setdefault(trial_id, []).append(Purchase(batch, bought_by, select_s))
    return {trial_id: tuple(purchases) for trial_id, purchases in bought.items()}


def _wanted(learner: str | None, embedding: str | None) -> _Wanted:
    problems: list[str] = []

    def part(build: Build, said: str | None, where: str) -> Choice | None:
        return None if said is None else build(grids.inline(said, where), where, problems)

    choose_encoder = partial(choose, registry.encoders)
    wanted = _Wanted(part(choose_learner, learner, "--learner"), part(choose_encoder, embedding, "--embedding"))
    if wanted.learner and wanted.learner.selector:
        problems.append("--learner: the rows are chosen already, so a selector has nothing to do; leave it out")
    if problems:
        raise GridError(problems)
    return wanted


def _with(choices: tuple[Choice, ...], wanted: Choice | None) -> tuple[Choice, ...]:
    if wanted is None or wanted.part.label in {choice.part.label for choice in choices}:
        return choices
    return (*choices, wanted)


def _resources(grid: Grid, learner: Choice | None) -> dict[str, Any]:
    """Return the grid's resources; a learner that it does not have may use what its first one may."""
    first = grid.resources[grid.learners[0].part.label]
    return {**({learner.part.label: first} if learner else {}), **grid.resources}


def _key(trial: Trial) -> _Key:
    return _Key(
        dataset=trial.dataset.label,
        embedding=trial.embedding.label,
        learner=trial.learner.label,
        budget=trial.budget.name,
        strategy=trial.strategy.label,
        seed=trial.seed,
    )


def _check(directory: Path, past: _Past, study: Study, trials: Sequence[Trial]) -> None:
    """Raise `ReplayError` when the run is not over, or the row numbers it holds are not those of today's data."""
    known = past.manifest.get("fingerprints", {})
    changed = {f"{t.dataset.label}/{t.embedding.label}" for t in trials if t.fingerprint not in known}
    if changed:
        raise ReplayError(
            f"{directory}: the data of {', '.join(sorted(changed))}, or how they are embedded, have changed since the"
            " run; its picks are rows of the old ones"
        )
    left = sum(_left(past, study, trial) for trial in trials)
    if left:
        raise ReplayError(f"{directory}: the run is not over, {left} trials are left; finish it first (albench run)")


def _left(past: _Past, study: Study, trial: Trial) -> bool:
    trial_id, outcome, _ = past.ends.get(_key(trial), ("", Outcome.LOST, ""))
    bought = sum(len(purchase.rows) for purchase in past.purchases.get(trial_id, ()))
    return not trial_id or (outcome is Outcome.DONE and bought < study.total(trial))


def _grid(grid: Grid, wanted: _Wanted, versions: Mapping[str, int]) -> Grid:
    """Return the grid as the replay's tables and manifest show it."""
    name = f"{grid.name} replayed with {', '.join(wanted.labels.values())}"
    strategies = [(choice, _version(choice.part, versions)) for choice in grid.strategies]
    return replace(
        grid,
        name=name,
        learners=_shown(grid.learners, wanted.learner),
        embeddings=_shown(grid.embeddings, wanted.embedding),
        strategies=tuple(replace(choice, part=replace(choice.part, version=version)) for choice, version in strategies),
        text=f"# {name}: this is the grid of the run that chose the rows\n{grid.text}",
    )


def _version(strategy: Part, versions: Mapping[str, int]) -> int:
    """Return the version of a strategy whose picks these are."""
    return versions.get(f"strategy {strategy.name}", strategy.version)


def _facts(directory: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the replay's manifest says of the run that chose the rows."""
    kept = {key: manifest.get(key) for key in ("run_id", "albench", "git_commit", "versions")}
    return {"replay": {"of": directory.resolve().name, **kept}}


def _shown(choices: tuple[Choice, ...], wanted: Choice | None) -> tuple[Choice, ...]:
    """Return what evaluates in place of each of these, under labels that say both."""
    found = [(choice, wanted or choice) for choice in choices]
    return tuple(replace(by, part=both(choice.part, by.part)) for choice, by in found)


def _file(replayed: Study, study: Study, past: _Past, there: Trial, here: Trial) -> None:
    """Add the replay of a trial: selected as ``there`` says, evaluated as ``here`` does."""
    trial_id, outcome, reason = past.ends[_key(there)]
    trial = _trial(there, here, trial_id, past.manifest.get("versions", {}))
    if outcome is not Outcome.DONE:
        replayed.unsupported.append((trial, f"its picks were not made: {outcome}: {reason}"))
        return
    label = here.learner.label
    learner = next(choice.value for choice in study.grid.learners if choice.part.label == label)
    record = Recorded(past.purchases[trial_id])
    replayed.jobs.append(Job(trial, record, learner, study.grid.resources[label]))


def _trial(there: Trial, here: Trial, trial_id: str, versions: Mapping[str, int]) -> Trial:
    """Return the trial that scores the picks of trial ``trial_id``.

    Its strategy's identity holds that id: all that decided the picks. Learner and embedding are identified by what
    evaluates, so that all replays of a seed share round 0. What is evaluated as it was selected is the same trial.
    """
    if _key(there) == _key(here) and there.trial_id == trial_id:
        return there
    part = there.strategy
    params = canonical_json({**json.loads(part.params), "picks of trial": trial_id})
    return replace(
        here,
        embedding=both(there.embedding, here.embedding),
        learner=both(there.learner, here.learner),
        strategy=Part(part.name, params, _version(part, versions), part.label),
    )

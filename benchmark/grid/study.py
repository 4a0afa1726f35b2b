"""A grid meets its data: every trial with its identity, every cell that cannot run with its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, get_args, get_type_hints

from ...datasets.embeddings.base import Selective
from ...datasets.embeddings.cache.store import Embedded, embed, fingerprint
from ...datasets.embeddings.cache.views import view_problems
from ...datasets.reading.base import DataError, Report, cache_dir, silent
from ...datasets.reading.loading import Loaded, load
from ...datasets.reading.transfer import AbsentError
from .. import registry
from ..lesson import needed_views, sees
from ..loop import Job
from ..query import FROM_THE_MODEL
from ..registry import needs_of, suggestion
from ..text import spelled
from ..types import FULL_DATA, Budget, Count, Part, Trial, canonical_json
from .document import GridError
from .grid import Grid
from .learners import each_of, identified
from .params import Choice

KINDS = ("dataset", "embedding", "learner", "strategy", "budget", "seed")
"""What tells the trials of a grid apart."""
MOST_TEST_ROWS = 20_000
"""Predictions for larger test sets are not kept."""


def chosen_kinds(values: Iterable[str]) -> dict[str, list[str]]:
    """Return ``strategy=a,b`` and the like as kind -> names, or raise ValueError with what is legal."""
    chosen: dict[str, list[str]] = {}
    for value in values:
        kind, text = (*value.split("=", 1), "")[:2]
        names = [spelled(name.strip()) for name in text.split(",") if name.strip()]
        if kind not in KINDS:
            raise ValueError(f"{value!r}: unknown kind {kind!r}{suggestion(kind, KINDS)}")
        if not names:
            raise ValueError(f"{value!r}: expected KIND=NAMES, for instance {kind}=a,b")
        chosen.setdefault(kind, []).extend(names)
    return chosen


@dataclass(frozen=True, eq=False)
class Source:
    """Data that was read, and the encoder that turns it into the pool of this fingerprint."""

    fingerprint: str
    dataset: Part
    embedding: Part
    data: Loaded
    encoder: Choice

    @property
    def is_cached(self) -> bool:
        """Whether somebody has computed the embedding; that it is sound is seen when it is read."""
        return (cache_dir() / self.fingerprint).is_dir()

    def embed(self, report: Report = silent) -> Embedded:
        """Return the embedding from the cache, or compute it."""
        return embed(self.data, self.encoder.value, report=report)


@dataclass(frozen=True, eq=False)
class Study:
    """A grid, resolved. ``jobs`` can run; ``unsupported`` cannot, with the reason; together they are all trials.

    ``only`` restricts what is run now: kind of part (``strategy`` ...) -> names or labels. ``facts`` are for the
    manifest: what there is to know about these trials that is not in the grid. ``absent`` says what a run would
    download, and that nothing is known of yet; it is empty where downloads are allowed.
    """

    grid: Grid
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)  # by fingerprint
    jobs: list[Job] = field(default_factory=list)
    unsupported: list[tuple[Trial, str]] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    @property
    def trials(self) -> list[Trial]:
        return [job.trial for job in self.jobs] + [trial for trial, _ in self.unsupported]

    def total(self, trial: Trial) -> int:
        """Return how many labels a trial buys in all."""
        split = self.sources[trial.fingerprint].data.split
        size, n_classes = len(split.train), len(split.class_names)
        return trial.budget.initial.resolve(n_classes) + sum(trial.budget.purchases(size, n_classes))

    def keeps_predictions(self, data: Loaded) -> bool:
        """Return whether the classes predicted for these data's test rows are kept."""
        return self.grid.keep.predictions and len(data.split.test) <= MOST_TEST_ROWS

    def chosen(self, trial: Trial) -> bool:
        """Return whether ``only`` lets a trial run now."""
        return all(_names(trial)[kind] & set(names) for kind, names in self.only.items())


def resolve(grid: Grid, only: Mapping[str, Sequence[str]] | None = None, report: Report = silent) -> Study:
    """Read the data of a grid, downloading what is missing, and expand it to trials; nothing is encoded.

    Inside `offline`, data that are missing have no trials here, and are told in `Study.absent`.

    Raises
    ------
    GridError
        With everything that is wrong with the data, between budgets and data, or with ``only``; with files that a
        learner reads; and with an encoder that can see none of the datasets. What it cannot see beside others is
        unsupported.
    """
    problems = list[str]()
    absent = list[str]()
    grid = replace(grid, learners=tuple(_read(i, learner, problems, absent) for i, learner in enumerate(grid.learners)))
    study = Study(grid, only or {}, absent=absent)
    refused: dict[int, list[str]] = {i: [] for i in range(len(grid.embeddings))}
    seen: set[int] = set()
    for dataset, seeds, data in _load(grid, problems, study.absent, report):
        problems += _budget_problems(grid, dataset, data)
        for i, embedding in enumerate(grid.embeddings):
            source, why = _source(dataset, embedding, data, study.absent)
            refused[i] += why
            twin = study.sources.setdefault(source.fingerprint, source).dataset.label
            if twin != dataset.part.label:
                problems.append(f"datasets: {twin!r} and {dataset.part.label!r} hold the same data")
            if not why:
                seen.add(i)
            for learner in grid.learners:
                _expand(study, source, learner, seeds, "; ".join(why))
    for i in refused.keys() - seen:
        problems += [f"embeddings[{i}]: {message}" for message in refused[i]]
    if problems:
        raise GridError([f"{grid.source}: {problem}" for problem in dict.fromkeys(problems)])
    if not study.absent:  # else not all names are known
        _check_only(study)
    return study


def _read(i: int, learner: Choice, problems: list[str], absent: list[str]) -> Choice:
    """Return a learner of the grid, identified by the content of the files too that it, or its selector, reads.

    ``absent`` gains what is not here.
    """
    try:
        return identified(learner)
    except AbsentError as error:
        absent += [message for message in error.messages if message not in absent]
        return learner
    except DataError as error:
        problems += [f"learners[{i}]: {message}" for message in error.messages]
        return learner


def _source(dataset: Choice, embedding: Choice, data: Loaded, absent: list[str]) -> tuple[Source, list[str]]:
    """Return what the embedding makes of the data, and the reasons why it cannot; ``absent`` gains what is not here."""
    identity = canonical_json([data.content, embedding.part.identity()])
    key, why = hashlib.sha256(identity.encode()).hexdigest(), list[str]()  # of cells that are only listed
    try:
        check_encoder(embedding, data)  # first: a fingerprint may need weights of hundreds of megabytes
        key = fingerprint(data.content, embedding.value)
    except AbsentError as error:
        absent += [message for message in error.messages if message not in absent]
    except DataError as error:
        why = error.messages
    return Source(key, dataset.part, embedding.part, data, embedding), why


def check_encoder(embedding: Choice, data: Loaded) -> None:
    """Raise `DataError` when these data cannot be encoded so."""
    found = embedding.value.problems(data.split) if isinstance(embedding.value, Selective) else []
    if found:
        raise DataError([f"{problem} (dataset {data.label!r})" for problem in found])


def _check_only(study: Study) -> None:
    """Raise `GridError` for each name that no trial of the grid has."""
    problems = []
    for kind, names in study.only.items():
        legal = sorted({name for trial in study.trials for name in _names(trial)[kind]})
        problems += [
            f"--only {kind}={n}: no {kind} of this grid{suggestion(n, legal)}" for n in names if n not in legal
        ]
    if problems:
        raise GridError([f"{study.grid.source}: {problem}" for problem in problems])


def _names(trial: Trial) -> dict[str, set[str]]:
    """Return what ``--only`` may call the parts of a trial, by kind."""
    parts = {"dataset": trial.dataset, "embedding": trial.embedding, "learner": trial.learner}
    names = {kind: {part.name, part.label} for kind, part in (parts | {"strategy": trial.strategy}).items()}
    return names | {"budget": {trial.budget.name}, "seed": {str(trial.seed)}}


def _load(
    grid: Grid, problems: list[str], absent: list[str], report: Report
) -> Iterator[tuple[Choice, tuple[int, ...], Loaded]]:
    """Read each split once: one for all seeds, or one per seed where the dataset is resampled."""
    for i, dataset in enumerate(grid.datasets):
        for seeds in [(seed,) for seed in grid.seeds] if dataset.value.resampled else [grid.seeds]:
            try:
                yield dataset, seeds, load(dataset.value, seeds[0], report)
            except AbsentError as error:
                absent += [f"{message}, and its trials are not counted here" for message in error.messages]
                break
            except DataError as error:
                problems += [f"datasets[{i}]: {message}" for message in error.messages]
                break


def _budget_problems(grid: Grid, dataset: Choice, data: Loaded) -> list[str]:
    problems = []
    for budget in grid.budgets:
        try:
            budget.purchases(len(data.split.train), len(data.split.class_names))
        except ValueError as error:
            problems.append(f"budgets.{budget.name}: {error} (dataset {dataset.part.label!r})")
    return problems


def _expand(study: Study, source: Source, learner: Choice, seeds: tuple[int, ...], refused: str) -> None:
    """Add the trials of one pool and learner, and the full-data bound: one fit on the whole pool.

    ``refused`` says why there is no such pool, if so: then all of them are unsupported.
    """
    grid = study.grid
    resources, selector = grid.resources[learner.part.label], learner.selector
    for choice in (learner, selector):
        if choice:
            refused = refused or unseen(choice, source.encoder, source.data)
    whole = Budget(FULL_DATA, Count(len(source.data.split.train)), ())
    random = registry.strategies.get("random")
    bound = Trial(
        dataset=source.dataset,
        embedding=source.embedding,
        learner=learner.part,
        strategy=Part(random.name, version=random.version),
        budget=whole,
        seed=min(seeds),
        fingerprint=source.fingerprint,
    )
    _file(study, Job(bound, random.cls(), learner.value, resources), refused)
    for budget in grid.budgets:
        for seed in seeds:
            for strategy in grid.strategies:
                trial = Trial(
                    dataset=source.dataset,
                    embedding=source.embedding,
                    learner=learner.part,
                    strategy=strategy.part,
                    budget=budget,
                    seed=seed,
                    fingerprint=source.fingerprint,
                )
                reason = refused or lacking(strategy, learner) or unmet(strategy, budget, source.data)
                chooser = selector.value if selector else None
                _file(study, Job(trial, strategy.value, learner.value, resources, chooser), reason)


def lacking(strategy: Choice, learner: Choice) -> str:
    """Return what a strategy needs that the learner, or its selector, does not give, in words, or nothing."""
    name = f"selector {learner.selector.part.label}" if learner.selector else learner.part.label
    learner = learner.selector or learner
    missing = needs_of(strategy.value).intersection(FROM_THE_MODEL) - learner.value.gives
    gives = ", ".join(sorted(learner.value.gives)) or "predictions only"
    needs = f"{strategy.part.label} needs {', '.join(sorted(missing))}"
    remedy = ""
    if missing == {"hidden"} and hasattr(strategy.value, "space"):
        remedy = " (space: embedding needs none)"
    elif missing and missing <= {"passes", "snapshots"}:
        kind = "snapshots" if "snapshots" in missing else "dropout"
        if kind in get_args(get_type_hints(learner.plugin.cls).get("passes")):
            remedy = f" (passes: {kind} makes {learner.part.name} give them)"
    return f"{needs}; {name} gives {gives}{remedy}" if missing else ""


def unmet(strategy: Choice, budget: Budget, data: Loaded) -> str:
    """Return what a strategy needs that this budget and these data do not have, in words, or nothing."""
    needs = needs_of(strategy.value)
    if "validation" in needs and not budget.validation.number:
        return f"{strategy.part.label} needs a validation set; budget {budget.name} has none (validation: 20, say)"
    return no_images(strategy, data) if "images" in needs else ""


def unseen(learner: Choice, embedding: Choice, data: Loaded) -> str:
    """Return what a learner sees of the pool that these data and this encoder do not give, in words, or nothing."""
    if sees(learner.value) == "images" and (why := no_images(learner, data)):
        return why
    for one in each_of(learner.value):
        if isinstance(one, Selective) and (found := one.problems(data.split)):
            return f"{learner.part.label} cannot see {data.label}: {found[0]}"
    found = view_problems(data, embedding.value) if needed_views(learner.value) else []
    return f"{learner.part.label} needs views of images; {found[0]}" if found else ""


def no_images(choice: Choice, data: Loaded) -> str:
    """Return that a learner or a rule needs images and these data have none, in words, or nothing."""
    return "" if data.split.kind == "images" else f"{choice.part.label} needs images; {data.label} has none"


def _file(study: Study, job: Job, unsupported: str) -> None:
    if unsupported:
        study.unsupported.append((job.trial, unsupported))
    else:
        study.jobs.append(job)


def preview(study: Study) -> list[str]:
    """Say what a run would do, and which cells it cannot, with the reason."""
    grid = study.grid
    bounds = sum(job.trial.budget.name == FULL_DATA for job in study.jobs)
    lines = [
        f"grid {grid.name}: {len(study.jobs) - bounds} trials and {bounds} full-data bounds",
        f"  datasets: {', '.join(c.part.label for c in grid.datasets)}",
        f"  embeddings: {', '.join(c.part.label for c in grid.embeddings)}",
        f"  learners: {', '.join(c.part.label for c in grid.learners)}",
        f"  strategies: {', '.join(c.part.label for c in grid.strategies)}",
        f"  seeds: {len(grid.seeds)}",
    ]
    for dataset, data in {s.dataset.label: s.data for s in study.sources.values()}.items():
        size, classes = len(data.split.train), len(data.split.class_names)
        for budget in grid.budgets:
            sizes = budget.purchases(size, classes)
            start = budget.initial.resolve(classes)
            lines.append(f"  budget {budget.name} on {dataset}: {start} labels, then {_runs(sizes)}, of {size}")
    lines += [f"  to be downloaded first: {what}" for what in study.absent]
    if study.only:
        lines.append(f"  --only chooses {sum(study.chosen(job.trial) for job in study.jobs)} of these")
    cells = Counter(f"{t.dataset.label} / {t.embedding.label} / {t.budget.name}: {why}" for t, why in study.unsupported)
    lines += [f"unsupported: {cell} ({n} trials)" for cell, n in cells.items()]
    return lines


def _runs(sizes: list[int]) -> str:
    """Return ``9 x 1000 + 1 x 43`` for the sizes of purchases in order."""
    return " + ".join(f"{len(list(group))} x {size}" for size, group in groupby(sizes)) or "nothing"

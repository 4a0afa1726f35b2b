"""What stands at the top: the state of the runs, and what must be read with their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ....benchmark.types import Outcome
from ...measures.evidence import Evidence
from ...measures.findings import Grade, apart, first_batches, grade, mixed_devices, twins
from ...measures.schedules import findings
from ...measures.tables import LEFT, STATES, Summary
from ...measures.words import count
from ..blocks import Block
from .board.overview import state
from .provenance import flat

NOTES = "Read this with the numbers"
_EVER_NEW = {"started", "run_id"}  # differ each time, and say nothing
_CODE = ("albench", "git_commit", "python", "libraries.", "versions.")


def blocks(evidence: Evidence) -> list[Block]:
    """Return the state of the runs, the grade of the study, and the findings."""
    grades = [*grade(evidence.rounds, evidence.trials, evidence.summary), *_versions(evidence.runs.manifests)]
    found = [
        *map(str, twins(evidence.rounds[~evidence.rounds["strategy"].map(evidence.summary.is_oracle).astype(bool)])),
        *first_batches(evidence.rounds),
        *findings(evidence.rounds),
        *apart(evidence.summary),
        *mixed_devices(evidence.trials),
        *evidence.runs.notices,
    ]
    return [
        Block("State", items=tuple(state(evidence.summary)), badge=_state(evidence.summary)),
        Block(
            "Grade",
            text="How far this study carries: first the five pitfalls of Lüth et al. (arXiv 2301.10625). A no is not a"
            " fault, but a limit to what can be concluded.",
            columns=("asked", "answer", "here"),
            rows=tuple(map(tuple, grades)),
            name="grade",
            badge=_graded(grades),
        ),
        *([Block(NOTES, items=tuple(found), badge=f"{count(len(found), 'note')} on the numbers")] if found else []),
    ]


def _state(summary: Summary) -> str:
    """Return the trials in a few words: ``543 trials done``, ``run not over: 3 of 543 trials left``."""
    counts: Counter[str] = Counter()
    for cell in (*summary.cells.values(), *summary.bounds.values()):
        counts.update(cell.outcomes)
    total = counts.total()
    if counts[LEFT]:
        return f"run not over: {counts[LEFT]:,} of {total:,} trials left"
    others = [f"{counts[name]:,} {name}" for name in STATES if counts[name] and name != Outcome.DONE]
    return ", ".join([f"{counts[Outcome.DONE]:,} trials done", *others])


def _graded(grades: Sequence[Grade]) -> str:
    answers = Counter(one.answer for one in grades)
    return f"grade: {', '.join(f'{n} {answer}' for answer, n in answers.items())}"


def _versions(manifests: Mapping[str, Mapping[str, Any]]) -> list[Grade]:
    """Say whether all trials were made by the same code, libraries and machine, as far as the manifests tell."""
    facts = {name: flat(manifest) for name, manifest in manifests.items()}
    if not all(all((manifest, *manifest.get("earlier", []))) for manifest in manifests.values()):
        return [Grade("one version of everything", "not known", "a manifest is missing")]
    lines = []
    for name, manifest in manifests.items():
        past = [flat(earlier) for earlier in manifest.get("earlier", [])]
        changed = sorted({key for before in past for key in _changed(before, facts[name])})
        if changed:
            lines.append(f"{name} was continued {count(len(past), 'time')}, with other facts in: {', '.join(changed)}")
    code = [{key: of[key] for key in of if key.startswith(_CODE)} for of in facts.values()]
    if changed := sorted({key for before in code for key in _changed(before, code[-1])}):
        lines.append(f"the runs differ in: {', '.join(changed)}")
    return [Grade("one version of everything", "no" if lines else "yes", "; ".join(lines) or "by the manifests")]


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} - _EVER_NEW

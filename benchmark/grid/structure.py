"""What the keys of a grid file may hold, and pydantic's findings in words for somebody who has never seen pydantic."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from ..registry import suggestion
from ..types import Count

LARGEST_WHOLE = 2**63 - 1  # what the record has room for
MOST_TRIALS = 300_000
"""In one grid: what lists of trials and a report stay usable with."""


def _count(least: int, said: object) -> Count:
    match = re.fullmatch(r"(0|[1-9][0-9]{0,17})(/class)?", str(said))
    if match is None or int(match[1]) < least:
        legal = f"a number of labels (at least {least}), or a number per class (such as 5/class)"
        raise ValueError(f"expected {legal}, got {show(said)}")
    return Count(int(match[1]), per_class=match[2] is not None)


Initial = Annotated[Count, PlainValidator(partial(_count, 0))]
Purchase = Annotated[Count, PlainValidator(partial(_count, 1))]
Rounds = Annotated[int, Field(ge=1)] | Literal["all"]
Seeds = Annotated[int, Field(ge=1, le=MOST_TRIALS)] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class SegmentEntry(_Strict):
    """``rounds`` purchases of ``query`` labels each."""

    query: Purchase
    rounds: Rounds


class BudgetEntry(_Strict):
    """A schedule: either one segment, given by ``query`` and ``rounds``, or a list of ``segments``."""

    initial: Initial = Count(0)
    initial_by: Literal["random", "stratified"] = "random"
    validation: Initial = Count(0)
    query: Purchase | None = None
    rounds: Rounds | None = None
    segments: list[SegmentEntry] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.segments is not None and (self.query is not None or self.rounds is not None):
            raise ValueError("give either query and rounds, or segments")
        if self.segments is None and (self.query is None or self.rounds is None):
            raise ValueError("needs query and rounds, or segments (a list of them)")
        return self


class TuneEntry(_Strict):
    """How settings are chosen, beside the values to choose from."""

    by: Literal["cross-validation", "validation"] = "cross-validation"
    folds: int = Field(default=5, ge=2, le=100)
    when: Literal["every-round", "once"] = "every-round"


class LearnerResources(_Strict):
    """What one trial may use."""

    num_cpus: float = Field(default=1.0, gt=0)
    num_gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    timeout: float | None = Field(default=None, gt=0)


class GridResources(LearnerResources):
    """What one trial may use, and what differs for some learners."""

    learners: dict[str, LearnerResources] = Field(default_factory=dict)


class Kept(_Strict):
    """What a run keeps besides its rounds. ``predictions``: the class that each round's model gives each test row."""

    predictions: bool = True


def check(kind: Any, said: object, where: str, problems: list[str]) -> Any:
    """Return ``said`` as a value of ``kind``; None, and a line per problem, where it is none."""
    try:
        return TypeAdapter(kind).validate_python(said, strict=True)
    except ValidationError as error:
        expected: dict[tuple[str, str], list[str]] = {}  # the members of a union complain one by one
        for e in error.errors():
            steps, value = _walk(said, e["loc"])
            place = where + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
            if e["type"] == "extra_forbidden":
                problems.append(f"{place}: unknown key{suggestion(str(steps[-1]), _legal(kind, steps))}")
            elif e["type"] == "missing":
                problems.append(f"{place}.{e['loc'][-1]}: missing")
            elif e["type"] == "value_error":
                problems.append(f"{place}: {e['ctx']['error']}")
            else:
                expected.setdefault((place, show(value)), []).append(_words(e["type"], e["msg"], e.get("ctx", {})))
        for (place, got), words in expected.items():
            if any(deeper.startswith((f"{place}.", f"{place}[")) for deeper, _ in expected):
                continue  # a member of the union that fits better says more
            problems.append(f"{place}: expected {' or '.join(dict.fromkeys(words))}, got {got}")
        return None


def from_text(kind: Any, text: str) -> Any:
    """Return the value of ``kind`` that a text stands for ("8" for 8), or the text where it is none."""
    try:
        value = TypeAdapter(kind).validate_strings(text)
    except ValidationError:
        return text
    return value if not isinstance(value, (int, float)) or abs(value) <= LARGEST_WHOLE else text


def show(value: object) -> str:
    """Return a value as an error shows it: as YAML calls it, and not too long."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else f"{value!r:.60}"


_WORDS: Mapping[str, str | Callable[[Mapping[str, Any]], str]] = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "none_required": "nothing",
    "literal_error": lambda context: context["expected"],
    "greater_than": lambda context: f"a number above {context['gt']:g}",
    "greater_than_equal": lambda context: f"a number of at least {context['ge']:g}",
    "less_than_equal": lambda context: f"a number up to {context['le']:,}",
    "finite_number": "a finite number",
    "too_short": "a list with at least one entry",
}


def _words(kind: str, message: str, context: Mapping[str, Any]) -> str:
    words = _WORDS.get(kind, message.removeprefix("Input should be "))
    return words if isinstance(words, str) else words(context)


def _walk(said: Any, location: Sequence[int | str]) -> tuple[list[int | str], object]:
    """Return the steps of pydantic's location that are in the file (others name members of a union), and the value."""
    steps: list[int | str] = []
    for step in location:
        inside = isinstance(said, list) and isinstance(step, int)
        if inside or (isinstance(said, dict) and step in said):
            steps.append(step)
            said = said[step]
    return steps, said


def _legal(kind: Any, steps: Sequence[int | str]) -> list[str]:
    """Return the keys that are legal beside the one that ``steps`` lead to."""
    if kind is BudgetEntry:
        kind = SegmentEntry if "segments" in steps[:-1] else BudgetEntry
    elif kind is GridResources:
        kind = LearnerResources if "learners" in steps[:-1] else GridResources
    return list(kind.model_fields)

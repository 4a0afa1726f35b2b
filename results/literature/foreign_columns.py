"""Which column of somebody else's table is which of ours: by name, or as ``--columns`` says.

``--columns OURS=THEIRS,...`` names a column, or its place (``#3``), or gives a text for all rows (``:cifar10``). ``*``
is the heading of every column that is not said otherwise, whose cells are then the accuracy (a table with a column for
each strategy, seed or number of labels). ``a+b`` joins names and adds numbers; ``accuracy=acc%`` is in percent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...benchmark.registry import suggestion
from ...benchmark.types import UserError

REQUIRED = {
    "dataset": ("data",),
    "strategy": ("method", "query_strategy", "algorithm"),
    "seed": ("random_seed", "random_state"),
    "n_labels": ("n_labelled", "n_labeled", "num_labels", "labels"),
    "accuracy": ("test_accuracy", "test_acc", "acc"),
}
"""Our column -> other names that it is known by."""
OPTIONAL = {
    "embedding": ("features", "encoder", "backbone"),
    "learner": ("model", "classifier"),
    "budget": (),
    "batch_size": ("query_size", "batch"),
    "balanced_accuracy": ("balanced_test_accuracy",),
    "macro_f1": ("test_macro_f1",),
    "elapsed_seconds": ("elapsed_s",),
}
COLUMNS = {**REQUIRED, **OPTIONAL}
HEADS = ("head", "trainer")
"""Where no column is the learner's, these two are it, as ``linear+flexmatch``."""
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
NUMBERS = ("seed", "n_labels", "elapsed_seconds")
HEADINGS = "*"

_UNITS = {"%": SCORES, "percent": SCORES, "#": ("n_labels",), "s": NUMBERS[2:], "seconds": NUMBERS[2:]}
"""A unit after a column's name -> the columns that may have it. With another unit a name is not ours."""
_UNIT = re.compile(r"^(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]$")


def parse_columns(text: str) -> dict[str, list[str]]:
    """Return ``accuracy=test_accuracy,learner=head+trainer`` as our column -> terms (see the head of this file)."""
    said: dict[str, list[str]] = {}
    problems = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        ours, _, theirs = (part.strip() for part in pair.partition("="))
        if ours not in COLUMNS:
            problems.append(f"--columns {pair}: unknown column {ours!r}{suggestion(ours, COLUMNS)}")
        elif not theirs:
            problems.append(f"--columns {pair}: expected OURS=THEIRS, for instance accuracy=test_accuracy")
        said[ours] = theirs.split("+")
    if sum(HEADINGS in terms for terms in said.values()) > 1:
        problems.append(f"--columns: {HEADINGS} can stand for one column only")
    if problems:
        raise UserError("\n".join(problems))
    return said


def as_text(columns: Mapping[str, Sequence[str]]) -> str:
    """Return what `parse_columns` reads."""
    return ",".join(f"{ours}={'+'.join(terms)}" for ours, terms in columns.items())


def known(name: str) -> str:
    """Return which of our columns goes by a name, in any case, with spaces, with a unit it may have; or nothing."""
    return _KNOWN.get(_folded(name), "")


def in_percent(name: str) -> bool:
    """Say whether the name of a column ends in percent: ``accuracy (%)``."""
    unit = _UNIT.match(name)
    return name.endswith("%") or (unit is not None and unit[2] in {"%", "percent"})


def _folded(name: str) -> str:
    unit = _UNIT.match(name)
    bare, of = (unit[1], _UNITS.get(unit[2], ())) if unit else (name.removesuffix("%"), SCORES)
    folded = re.sub(r"[\s_-]+", "_", bare.strip(" #").casefold())
    return folded if not unit or _KNOWN.get(folded) in of else name


_KNOWN = {name: ours for ours, others in COLUMNS.items() for name in (ours, *others)}


def place(term: str, header: Sequence[str]) -> int | None:
    """Return the place of the column that a term means: by name, or ``#1`` the first; None where there is none."""
    if term in header:
        return header.index(term)
    number = re.fullmatch(r"#([0-9]{1,6})", term)
    if number and 1 <= int(number[1]) <= len(header):
        return int(number[1]) - 1
    return None


def matched(header: Sequence[str], said: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return our columns with the terms they are made of, those said first, and what is wrong with what was said."""
    columns = {ours: list(terms) for ours, terms in said.items()}
    problems = [
        f"--columns {ours}: no column {term!r}{suggestion(term, header)}"
        for ours, terms in said.items()
        for term in terms
        if not term.startswith(":") and term != HEADINGS and place(without_percent(term, header), header) is None
    ]
    folded = {known(name): name for name in reversed(header)}
    taken = {term for terms in said.values() for term in terms}
    for ours, others in COLUMNS.items():
        exact = next((name for name in (ours, *others) if name in header), folded.get(ours))
        if ours not in columns and exact is not None and not (ours in OPTIONAL and exact in taken):
            columns[ours] = [exact]
    if "learner" not in columns and (heads := [name for name in HEADS if name in header]):
        columns["learner"] = heads
    return columns, problems


def without_percent(term: str, header: Sequence[str]) -> str:
    """Return the column that ``acc%`` means: where none is called so, ``acc``."""
    return term if term in header else term.removesuffix("%")

"""Labels as people save them, as numbers of classes; what is no label is not taken for a class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.text import clean, spelled
from ...benchmark.types import Labels, Rows
from .npz import Source, UnusableError

BLANK = frozenset({"", "nan", "NaN", "None", "NaT", "<NA>", "null", "NULL"})
"""What NumPy, pandas, Python, JSON and SQL write where there is no label."""
NO_LABEL, UNKNOWN = -1, -2


@dataclass(frozen=True)
class Named:
    """The labels of some rows by name: distinct ``names``, ascending (numbers as numbers), and each row's among them.

    Whole numbers are the same names whatever type they are kept in; what a float has in place of one is ``nan``.
    """

    what: str
    text: bool
    names: list[str]
    codes: Labels

    def rows(self, name: str) -> Rows:
        """Return the rows with this label."""
        return np.flatnonzero(self.codes == self.names.index(name)) if name in self.names else np.empty(0, np.int64)

    def shown(self, name: str) -> str:
        return repr(clean(name, 80)) if self.text else name


def numbered(
    train: Source, test: Source, class_names: Source | None, unlabelled: int | str | None
) -> tuple[Labels, Labels, tuple[str, ...]]:
    """Return the classes of the rows of pool and test set, `NO_LABEL` where it is ``unlabelled``, and their names.

    Without ``class_names`` the labels of the pool are the names; with them numbers count into these and text is found
    there. `UnusableError` has a line for each thing that is wrong.
    """
    parts = named(train, test)
    out = None if unlabelled is None else str(unlabelled)
    if out is not None and not any(out in part.names for part in parts):
        raise UnusableError(f"{train.what}: no label is {out!r} (unlabelled); labels: {some(parts[0].names)}")
    if class_names is None:
        names = [name for name in parts[0].names if name != out]
        faults = doubts(*parts, out)
    else:
        names, faults = class_names_of(class_names), []
        if not parts[0].text and not any("0" in part.names for part in parts):
            faults = [f"{train.what}: integers count into class_names from 0, and no label is 0; subtract 1, say"]
    listed = names if class_names is None or parts[0].text else map(str, range(len(names)))
    index = {name: number for number, name in enumerate(listed)}
    if out is not None:
        index[out] = NO_LABEL
    found = list[Labels]()
    for part in () if faults else parts:
        try:
            found.append(numbers(part, index))
        except UnusableError as error:
            faults.append(str(error))
    if faults:
        raise UnusableError("\n".join(faults))
    return found[0], found[1], tuple(names)


def named(train: Source, test: Source) -> tuple[Named, Named]:
    """Return the labels of pool and test set by name, or raise `UnusableError` with a line for each thing wrong."""
    faults, found = list[str](), list[Named]()
    for source in (train, _like(test, train)):
        try:
            found.append(_named(source))
        except UnusableError as error:
            faults.append(f"{source.what} {error}")
    if not faults and found[0].text != found[1].text:
        kinds = f"{train.what} holds {train.array.dtype}, {test.what} {test.array.dtype}"
        faults.append(f"{kinds}; one kind is needed")
    if faults:
        raise UnusableError("\n".join(faults))
    return found[0], found[1]


def class_names_of(source: Source) -> list[str]:
    """Return class names as they are given, or raise `UnusableError`."""
    array = source.array
    if array.ndim != 1 or not len(array):
        raise UnusableError(f"{source.what} has shape {array.shape}; needed is one name per class, at least one")
    if array.dtype.kind not in "US":
        raise UnusableError(f"{source.what} holds {array.dtype}, not text")
    try:
        return _texts(array)
    except UnusableError as error:
        raise UnusableError(f"{source.what} {error}") from error


def numbers(labels: Named, index: dict[str, int]) -> Labels:
    """Return each row's class by ``index``, or raise `UnusableError` with the first that it lacks."""
    classes = np.array([index.get(name, UNKNOWN) for name in labels.names], np.int64)[labels.codes]
    unknown = np.flatnonzero(classes == UNKNOWN)
    if len(unknown):
        name = labels.shown(labels.names[labels.codes[unknown[0]]])
        legal = some(name for name, number in index.items() if number != NO_LABEL)
        raise UnusableError(f"{labels.what}: unknown class {name} in row {unknown[0]}; legal: {legal}")
    return classes


def doubts(train: Named, test: Named, out: str | None) -> list[str]:
    """Return why names that labels have, but for ``out``, may be no classes, or not as many, one line each.

    That is what stands for a missing label, a single negative number beside others, and names in several spellings.
    """
    names = sorted({*train.names, *test.names} - {out})
    found = []
    for name in _no_labels(names, test.names):
        part = train if name in train.names else test
        rows = part.rows(name)
        count = f"{len(rows)} of {len(part.codes)} labels are {part.shown(name)} (first in row {rows[0]})"
        leave = f"`unlabelled: {name or chr(34) * 2}` leaves such rows out"
        found.append(f"{part.what}: {count}, which says that there is none; {leave}; a name makes it a class")
    for group in _spellings(names, test.names) if train.text else ():
        same = " and ".join(ascii(name) for name in group[:5])
        found.append(f"{train.what}: {same} look like one class; spell it in one way, or list both in class_names")
    return found


def some(names: Iterable[str]) -> str:
    """Return the first of many names."""
    every = list(names)
    return ", ".join(clean(name, 80) for name in every[:20]) + (", ..." if len(every) > 20 else "")


def _no_labels(names: Sequence[str], tested: Sequence[str]) -> list[str]:
    """Return the names that say that there is no label.

    A single negative number does (-1, -9999, -100), but for -1 and 1: those two are classes where both are tested.
    """
    blank = [name for name in names if name.strip() in BLANK]
    try:
        values = {name: float(name) for name in names if name not in blank}
    except ValueError:  # text
        return blank
    negative = [name for name, value in values.items() if value < 0]
    if len(negative) != 1 or len(values) < 2:
        return blank
    pair = len(values) == 2 and not sum(values.values()) and negative[0] in tested
    return blank if pair else [*blank, negative[0]]


def _spellings(names: Sequence[str], tested: Sequence[str]) -> list[list[str]]:
    """Return the groups of names that differ in case, in spaces around them or in Unicode's form alone.

    What differs in case alone is several classes (letters, say) where all of them are tested.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(spelled(name).strip().casefold(), []).append(name)
    return [
        group
        for group in groups.values()
        if len({spelled(name).strip() for name in group}) < len(group) or not {*group} <= {*tested}
        if len(group) > 1
    ]


def _like(test: Source, train: Source) -> Source:
    """Return labels of the test set as truth values where those of the pool are, and as numbers where they are."""
    kinds = train.array.dtype.kind, test.array.dtype.kind
    if kinds[0] == "b" and kinds[1] in "iu" and np.isin(test.array, (0, 1)).all():
        return Source(test.what, test.array.astype(bool))
    if kinds[0] in "iu" and kinds[1] == "b":
        return Source(test.what, test.array.astype(np.int64))
    return test


def _named(source: Source) -> Named:
    array = source.array
    if array.ndim != 1 or not len(array):
        raise UnusableError(f"has shape {array.shape}; needed is one value per row, at least one{_flatter(array)}")
    if array.dtype.kind not in "USiubf":
        raise UnusableError(f"holds {array.dtype}, not integers or text; x.astype(str) makes text of it")
    values, codes = np.unique(array, return_inverse=True)
    names = _texts(values) if array.dtype.kind in "US" else [str(value) for value in _whole(values).tolist()]
    return Named(source.what, array.dtype.kind in "US", names, codes)


def _flatter(array: NDArray[Any]) -> str:
    if array.ndim != 2 or not array.size:
        return ""
    return "; x[:, 0] is that" if array.shape[1] == 1 else "; of one-hot labels, x.argmax(axis=1) is that"


def _texts(values: NDArray[Any]) -> list[str]:
    """Return text as it is, and bytes as the text they are in UTF-8."""
    try:
        texts = [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]
        for text in texts:
            text.encode()
    except UnicodeError as error:
        raise UnusableError(f"holds text that is not UTF-8 ({clean(str(error), 200)})") from error
    return texts


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as integers where they are floats; NaN stays."""
    if values.dtype.kind != "f":
        return values
    real = values[~np.isnan(values)]
    odd = real[(real != np.floor(real)) | np.isinf(real)]
    if len(odd):
        raise UnusableError(
            f"holds {odd[0]}; labels are whole numbers or text; np.digitize makes classes of a quantity"
        )
    most = 2 ** (np.finfo(values.dtype).nmant + 1)
    if (abs(real) > most).any():
        raise UnusableError(
            f"holds {abs(real).max():.17g} as {values.dtype}, which merges those beyond {most}; give integers or text"
        )
    return np.array([*map(int, real), *([np.nan] if len(real) < len(values) else [])], dtype=object)

"""What a report is made of: blocks of text, tables and figures, which every form of the report prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .numbers import Numbers

NOT_DONE = "not done"
"""The last column of tables of cells; a report leaves it out where it is empty."""

ARXIV = re.compile(r"\barXiv:? ?((?:[a-z-]+/)?\d{4}\.?\d{3,5})\b")
DOI = re.compile(r"\bdoi:? ?(10\.\d{4,9}/[^\s,;()]+\b)")
"""How texts name papers."""

LONGEST = 100
"""So long may a file's stem be."""


@dataclass(frozen=True, eq=False)
class Figure:
    """One chart for the page and the paper: ``spec`` is its Vega-Lite specification, ``name`` the stem of its files.

    One that is not ``on_page`` is for paper alone: the page shows the same in another way.
    """

    name: str
    spec: dict[str, Any]
    on_page: bool = True


@dataclass(frozen=True)
class Block:
    """A heading with paragraphs, a list, a table and a figure, each of which may be empty.

    ``strong`` holds the (row, column) numbers of the table's cells to be set in bold. ``name`` is the stem of the
    table's own file, unique in a report; a table without a name gets none. ``code`` is printed letter by letter.
    ``about`` says which dataset, learner, ... the whole block is about: the filters of the page go by it. ``note`` is
    printed below the table. ``numbers`` are those that the table, or the figure, shows: the file beside its LaTeX.
    """

    title: str
    text: str = ""
    items: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    strong: frozenset[tuple[int, int]] = frozenset()
    level: int = 2
    name: str = ""
    figure: Figure | None = None
    code: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    shades: Mapping[tuple[int, int], float] = field(default_factory=dict)
    badge: str = ""
    on_page: bool = True
    numbers: Numbers | None = field(default=None, compare=False)


def stem(*names: str) -> str:
    """Return names as one file stem: ``stem("at", "pca(dims=8)")`` is ``at-pca-dims-8``.

    One above `LONGEST` ends in a digest of the names: a file system takes no more than 255 bytes with the suffix.
    """
    whole = "-".join(part for name in names for part in re.split(r"[^a-z0-9.]+", name.lower()) if part)
    if len(whole) <= LONGEST:
        return whole
    digest = sha256("\0".join(names).encode()).hexdigest()[:8]
    return f"{whole[: LONGEST - len(digest) - 1]}-{digest}"

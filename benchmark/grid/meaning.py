"""What a plugin's docstring says of its parameters."""

from __future__ import annotations

import inspect
import re
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import fields, is_dataclass

_PART = re.compile(r"\n\s*\n|\n- ")  # paragraphs, and items of a list
_SENTENCE = re.compile(r"(?<=[.!?])(?<!et al\.)\s+(?=[A-Z`\d(])")


def meanings(cls: type) -> dict[str, str]:
    """Return parameter -> its meaning, on one line, of those of which something is said.

    That is its entry in a section ``Parameters``, else the sentences that name it in double backticks: in the docstring
    of the class, else in that of the nearest base that has any. A base's entry counts before the sentences of the
    class, which may only give an example.
    """
    names = [field.name for field in fields(cls) if field.init] if is_dataclass(cls) else []
    docs = [inspect.cleandoc(each.__doc__ or "") for each in cls.__mro__ if "__doc__" in vars(each)]
    found = ChainMap(*map(_listed, docs), *(_named(doc, names) for doc in docs))
    return {name: found[name] for name in names if name in found}


def _listed(doc: str) -> dict[str, str]:
    """Return the entries of the section of parameters, as numpy writes one."""
    _, heading, rest = doc.partition("Parameters\n----------\n")
    section = re.split(r"\n\w[\w ]*\n-{3,}\n", rest)[0] if heading else ""
    entries = re.findall(r"^(\w[\w, ]*)(?: : .*)?\n((?:[ \t]+.*\n?|\n)+)", section, re.MULTILINE)
    return {name: _line(text) for names, text in entries for name in re.split(r",\s*", names)}


def _named(doc: str, names: Iterable[str]) -> dict[str, str]:
    """Return for each of the names the sentences that name it, where there are any."""
    prose = doc.partition("\nParameters\n----------\n")[0]
    said = [_line(one) for part in _PART.split(prose) for one in _SENTENCE.split(part)]
    naming = {name: re.compile(rf"``{name}(\W[^`]*)?``") for name in names}
    found = {name: " ".join(filter(pattern.search, said)) for name, pattern in naming.items()}
    return {name: text for name, text in found.items() if text}


def _line(text: str) -> str:
    return " ".join(text.split())

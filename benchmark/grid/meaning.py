"""What a plugin's docstring says of its parameters."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass

_SENTENCE = re.compile(r"(?<=[.!?])(?<!et al\.)\s+(?=[A-Z`\d(])")


def meanings(cls: type) -> dict[str, str]:
    """Return parameter -> its meaning, on one line, of those of which something is said.

    That is its entry in a section ``Parameters``, else the sentences that name it in double backticks, in the docstring
    of the class or of the one that the parameter comes from.
    """
    names = [field.name for field in fields(cls) if field.init] if is_dataclass(cls) else []
    found: dict[str, str] = {}
    for each in cls.__mro__:
        doc = inspect.cleandoc(each.__doc__ or "") if "__doc__" in vars(each) else ""
        listed, said = _listed(doc), _sentences(doc)
        for name in names:
            named = re.compile(rf"``{name}(\W[^`]*)?``")
            own = listed.get(name) or " ".join(sentence for sentence in said if named.search(sentence))
            if own and name not in found:
                found[name] = own
    return found


def _listed(doc: str) -> dict[str, str]:
    """Return the entries of the section of parameters, as numpy writes one."""
    _, heading, rest = doc.partition("Parameters\n----------\n")
    section = re.split(r"\n\w[\w ]*\n-{3,}\n", rest)[0] if heading else ""
    entries = re.findall(r"^(\w[\w, ]*)(?: : .*)?\n((?:[ \t]+.*\n?|\n)+)", section, re.MULTILINE)
    return {name: _line(text) for names, text in entries for name in re.split(r",\s*", names)}


def _sentences(doc: str) -> list[str]:
    prose = doc.partition("\nParameters\n----------\n")[0]
    return [_line(one) for paragraph in re.split(r"\n\s*\n", prose) for one in _SENTENCE.split(paragraph)]


def _line(text: str) -> str:
    return " ".join(text.split())

"""From YAML to plain values: lists, mappings, text, numbers, true, false and nothing, within bounds.

A plain word is read as the core of YAML 1.2 reads it, numbers in decimal digits: ``no``, ``on`` and ``2024-01-01`` are
text, ``1e-3`` is a number, and a key is always text. What YAML 1.1 silently reads as another number than it says
(``010`` is 8, ``1:30`` is 90, ``1_000`` is 1000) is refused.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from ..text import spelled
from ..types import UserError
from .structure import LARGEST_WHOLE

LARGEST_FILE = 2**18  # bytes
MOST_VALUES = 10_000
"""In one document; an alias counts as all that it stands for, text of a hundred characters as one more."""
DEEPEST = 32

_STR, _INT, _FLOAT, _BOOL, _NULL, _MAP, _SEQ, _MERGE = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq", "merge")
)
_WORDS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_PLAIN = {
    _NULL: re.compile("|".join(word for word, value in _WORDS.items() if value is None)),
    _BOOL: re.compile("|".join(word for word, value in _WORDS.items() if value is not None)),
    _INT: re.compile("[-+]?(0|[1-9][0-9]*)"),
    _FLOAT: re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
    _MERGE: re.compile("<<"),
}
"""The kinds that a plain word may have, the first that fits; any other is text."""

_KINDS: dict[str, type[yaml.Node]] = {_MAP: yaml.MappingNode, _SEQ: yaml.SequenceNode}
_KINDS |= dict.fromkeys((_STR, _INT, _FLOAT, _BOOL, _NULL), yaml.ScalarNode)


class GridError(UserError):
    """A grid that cannot be run; ``messages`` holds every problem, one line each."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = list(messages)


def text_of(path: Path) -> str:
    """Return the text of a grid file, or raise `GridError` with the reason (not the path) why there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, /dev/zero read for ever
            raise GridError(["a folder" if path.is_dir() else "not a regular file"])
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that this system cannot have
        raise GridError([getattr(error, "strerror", None) or str(error)]) from error
    if len(content) > LARGEST_FILE:
        raise GridError([f"longer than {LARGEST_FILE:,} bytes, which no grid needs"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        other = "UTF-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else f"byte \\x{content[error.start]:02x}"
        raise GridError([f"not UTF-8 text ({other} in line {line}); save it as UTF-8"]) from error


def read(text: str, where: str) -> object:
    """Return what a YAML document says.

    Raises
    ------
    GridError
        With one line that begins with ``where`` and the line of the text.
    """
    try:
        return _Loader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = "a tab; YAML is indented with spaces" if "\\t" in str(error.problem) else error.problem
        said = ", ".join(filter(None, (error.context, problem)))
        raise GridError([f"{where}{_line(mark.line) if mark else ''}: {said}"]) from error
    except yaml.reader.ReaderError as error:
        line = _line(text.count("\n", 0, error.position))
        raise GridError([f"{where}{line}: not YAML: unacceptable character #x{error.character:04x}"]) from error


def write(value: object) -> str:
    """Return the YAML of plain values, such that `read` and readers of YAML 1.1 read the same.

    Raises
    ------
    GridError
        When there is a value that YAML has no plain word for.
    """
    try:
        return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        odd = error.args[-1]
        raise GridError([f"{odd!r:.80} is {type(odd).__name__}; legal: text, numbers, lists, mappings"]) from error


def _line(index: int) -> str:
    return f", line {index + 1}"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node, int] = {}
        self._size = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event, before = self.peek_event(), self._size  # type: ignore[no-untyped-call]  # the stub leaves it out
        self._depth += 1
        self._refuse(self._depth > DEEPEST, f"nested more than {DEEPEST} levels deep", event)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            self._refuse(node not in self._sizes, f"*{event.anchor} stands for what it is a part of", event)
            self._size += self._sizes[node]
        else:
            self._size += 1 + (len(node.value) // 100 if isinstance(node, yaml.ScalarNode) else 0)
            self._sizes[node] = self._size - before
        self._refuse(self._size > MOST_VALUES, f"more than {MOST_VALUES:,} values, aliases written out", event)
        if isinstance(parent, yaml.MappingNode) and index is None:
            return self._key(node)
        other = _in_yaml_1_1(node) if isinstance(event, yaml.ScalarEvent) and event.implicit[0] else ""
        self._refuse(bool(other), other, event)
        self._check(node)
        return node

    def _check(self, node: Any) -> None:
        """Refuse a value that no grid has."""
        if node.tag == _MERGE:
            node.tag = _STR
        fits = isinstance(node, _KINDS.get(node.tag, ()))
        self._refuse(not fits, f"the tag {spelled(node.tag)!r:.80} does not fit; a grid needs none", node)
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            self._refuse(key.value in seen, f"{key.value!r} is given twice", key)
            seen.add(key.value)

    def document(self) -> object:
        node = self.get_single_node()
        return None if node is None else self._value(node)

    def _value(self, node: Any) -> object:
        """Return the plain value of a node; what several aliases stand for is made anew for each."""
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            return {key.value: self._value(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self._value(one) for one in node.value]
        return self._scalar(node)

    def _key(self, node: Any) -> yaml.Node:
        """Return the key as text: it is a name."""
        self._refuse(not isinstance(node, yaml.ScalarNode), "a key is text", node)
        tag = _MERGE if node.tag == _MERGE else _STR
        return yaml.ScalarNode(tag, spelled(node.value), node.start_mark, node.end_mark)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, tag = node.value, node.tag
        if tag == _STR:
            return text
        kind = tag.rpartition(":")[2]
        self._refuse(not _PLAIN[tag].fullmatch(text), f"{text!r:.60} is no !!{kind}", node)
        if tag in {_BOOL, _NULL}:
            return _WORDS[text]
        short = f"{text:.20}"
        if tag == _FLOAT:
            self._refuse(not math.isfinite(float(text)), f"{short} is too large", node)
            return float(text)
        beyond = len(text) > 20 or abs(int(text)) > LARGEST_WHOLE
        self._refuse(beyond, f"{short}{'...' * (text != short)} is beyond {LARGEST_WHOLE}, either way", node)
        return int(text)

    def _refuse(self, wrong: bool, problem: str, at: Any) -> None:
        if wrong:
            raise yaml.MarkedYAMLError(None, None, problem, at.start_mark)


class _Dumper(yaml.SafeDumper):
    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Escape Unicode's own line breaks: PyYAML folds them, and reads a space."""
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)
for _other in (set, bytes, date, datetime):  # they have tags, or come back as text
    _Dumper.add_representer(_other, _Dumper.represent_undefined)


for _tag, _pattern in _PLAIN.items():
    _whole = re.compile(f"(?:{_pattern.pattern})$")
    _Loader.add_implicit_resolver(_tag, _whole, None)
    _Dumper.add_implicit_resolver(_tag, _whole, None)
_OLD = yaml.SafeLoader("")


def _in_yaml_1_1(node: yaml.ScalarNode) -> str:
    """Return what is wrong with a plain word that YAML 1.1 reads as another number than it says, or nothing."""
    if len(node.value) > 40:  # digits enough for any number, too many to reckon with
        return ""
    tag = _OLD.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]  # as above
    if tag not in {_INT, _FLOAT} or _PLAIN[_FLOAT].fullmatch(node.value):
        return ""
    try:
        number = (_OLD.construct_yaml_int if tag == _INT else _OLD.construct_yaml_float)(node)
    except ValueError:  # 0x
        number = math.nan
    if not math.isfinite(number):
        return f"{node.value} is a number in YAML 1.1; write it in decimal digits, or in quotes for text"
    return f"{node.value} is {number} in YAML 1.1; write {number}, or '{node.value}' for text"

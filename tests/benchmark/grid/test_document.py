"""YAML within bounds: a word is read as it looks or refused with its meaning, whatever stands in the file."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from albench.benchmark.grid.document import DEEPEST, LARGEST_FILE, GridError, read, text_of, write
from albench.benchmark.text import spelled


def line(text: str) -> str:
    with pytest.raises(GridError) as caught:
        read(text, "g.yaml")
    (said,) = caught.value.messages
    return said.removeprefix("g.yaml, ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[no, yes, on, off, y, N, =, 2024-01-01, 2026-02-30, 0o10, 1:99]", None),
        (
            "[1, -1, +1, 0, 1e3, 1e-3, .5, 1., true, False, ~, null]",
            [1, -1, 1, 0, 1e3, 1e-3, 0.5, 1.0, True, False] + 2 * [None],
        ),
        ("[!!str 010, !!int '10', !!float 3]", ["010", 10, 3.0]),
        (
            "{on: 1, no: 2, 010: 3, 1: 4, ~: 5, 2024-01-01: 6}",
            dict(zip(("on", "no", "010", "1", "~", "2024-01-01"), range(1, 7), strict=True)),
        ),
        ("{a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("{a: &x 3, b: [<<]}", {"a": 3, "b": ["<<"]}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_words_are_read_as_they_look(text: str, value: object) -> None:
    found = read(text, "g.yaml")
    assert found == (value if value is not None else text.strip("[]").split(", "))
    assert repr(found) == repr(value if value is not None else text.strip("[]").split(", "))  # 1 is not True, nor 1.0


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("010", 8),
        ("-017", -15),
        ("1:30", 90),
        ("1:30:00", 5400),
        ("1_000", 1000),
        ("0x10", 16),
        ("0b11", 3),
        ("00", 0),
        ("1_0.5", 10.5),
    ],
)
def test_numbers_of_yaml_1_1_are_refused_with_their_meaning(word: str, number: float) -> None:
    assert yaml.safe_load(word) == number
    assert (
        line(f"a: 1\nseeds: {word}") == f"line 2: {word} is {number} in YAML 1.1; write {number}, or '{word}' for text"
    )
    assert read(f"[{word!r}, {number}]", "g.yaml") == [word, number]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: .inf", "line 1: .inf is a number in YAML 1.1; write it in decimal digits"),
        ("a: 1e999", "line 1: 1e999 is too large"),
        ("a: 9223372036854775808", "line 1: 9223372036854775808 is beyond 9223372036854775807, either way"),
        ("a: " + "9" * 5000, "line 1: 99999999999999999999... is beyond"),
        ("a: !!int abc", "line 1: 'abc' is no !!int"),
        ("a: !!bool maybe", "line 1: 'maybe' is no !!bool"),
        ("a: !!timestamp 99", "line 1: the tag 'tag:yaml.org,2002:timestamp' does not fit"),
        ("a: !!binary aGk=", "line 1: the tag 'tag:yaml.org,2002:binary' does not fit"),
        ("a: !!set {x, y}", "line 1: the tag 'tag:yaml.org,2002:set' does not fit"),
        ("a: !!map 3", "line 1: the tag 'tag:yaml.org,2002:map' does not fit"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os."),
        ("? [a]\n: 1", "line 1: a key is text"),
        ("caf\u00e9: 1\ncafe\u0301: 2", "line 2: 'caf\u00e9' is given twice"),
        ("a: &a [*a]", "line 1: *a stands for what it is a part of"),
        ("a: " + "[" * 500 + "]" * 500, f"line 1: nested more than {DEEPEST} levels deep"),
        ("- " * 5000, f"line 1: nested more than {DEEPEST} levels deep"),
    ],
)  # fmt: skip
def test_what_no_grid_needs_is_a_line(text: str, said: str) -> None:
    assert line(text).startswith(said)


@pytest.mark.parametrize("value", ["1", "{k: 1}", f"'{'x' * 500}'"])
@pytest.mark.parametrize("way", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_are_counted_as_what_they_stand_for(value: str, way: str) -> None:
    again = [f"x{i}: &x{i} " + way.format(",".join([f"*x{i - 1}"] * 10)) for i in range(1, 9)]
    first = f"x0: &x0 {value if way[0] == '[' else '{k: ' + value + '}'}"
    began = time.monotonic()
    assert "more than 10,000 values" in line("\n".join([first, *again]))
    assert time.monotonic() - began < 2


def test_an_alias_is_a_value_of_its_own() -> None:
    found: Any = read("{a: &a {x: 1}, b: *a}", "g.yaml")
    found["b"]["x"] = 2  # as --set does
    assert found == {"a": {"x": 1}, "b": {"x": 2}}


ODD = r"[-+0-9._:xoebEinfoyst<=~#&*!|>%@]{1,6}"
SIGNS = "-+0123456789_:.xeE!<>&*[]{},'\"|#%@~? \n\t\\ax"
ANY = st.text(st.characters(exclude_categories=()), max_size=60)
WORDS = st.text(st.characters(codec="utf-8"), max_size=8) | st.from_regex(ODD, fullmatch=True)
WHOLE, BROKEN = st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | BROKEN | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def _spelled(value: Any) -> Any:
    """Return the value with every key in its one spelling."""
    if isinstance(value, dict):
        return {spelled(key): _spelled(one) for key, one in value.items()}
    return [_spelled(one) for one in value] if isinstance(value, list) else value


@example({"\x85": None})
@example("a\u2028 \u2029b")
@given(PLAIN)
@settings(max_examples=100, deadline=None)
def test_what_is_written_reads_back_here_and_elsewhere(value: object) -> None:
    text = write([value])
    try:
        found = read(text, "g.yaml")
    except GridError as error:
        assert "is given twice" in str(error)  # noqa: PT017 - two spellings of one key
    else:
        assert repr(found) == repr([_spelled(value)])
    assert yaml.safe_load(text) == [value]


@pytest.mark.parametrize("value", [{1}, b"x", date(2024, 1, 1), 1j, Path("x")], ids=repr)
def test_what_yaml_has_no_plain_word_for_is_named(value: object) -> None:
    with pytest.raises(GridError) as caught:
        write({"seeds": [value]})
    assert caught.value.messages == [f"{value!r} is {type(value).__name__}; legal: text, numbers, lists, mappings"]


@given(ANY | st.text(SIGNS, max_size=60))
@settings(max_examples=200, deadline=5000)
def test_any_text_is_a_value_or_a_line(text: str) -> None:
    try:
        read(text, "g.yaml")
    except GridError as error:
        assert str(error).startswith("g.yaml")  # noqa: PT017 - either is right


def test_a_file_that_is_no_text_is_a_line(tmp_path: Path) -> None:
    def said(path: Path) -> str:
        with pytest.raises(GridError) as caught:
            text_of(path)
        return str(caught.value)

    pipe, long, wide = tmp_path / "pipe", tmp_path / "long", tmp_path / "wide"
    os.mkfifo(pipe)
    with long.open("wb") as file:
        file.truncate(2**30)
    wide.write_text("name: x", encoding="utf-16")
    assert said(tmp_path) == "a folder"
    assert said(pipe) == said(Path("/dev/zero")) == "not a regular file"
    assert said(long) == f"longer than {LARGEST_FILE:,} bytes, which no grid needs"
    assert said(wide) == "not UTF-8 text (UTF-16 in line 1); save it as UTF-8"
    assert said(tmp_path / "a\0b") == "embedded null byte"

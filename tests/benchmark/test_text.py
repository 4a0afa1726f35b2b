"""Text from outside can be written anywhere, and says what it was."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albench.benchmark.text import clean, listing, same_names, spelled

SURROGATES = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café ± 学 🐜\tand\nlines", "café ± 学 🐜\tand\nlines"),
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
        ("\ud83d lone", "\\ud83d lone"),
        ("red \x1b[31m, title \x1b]0;x\x07", "red \\x1b[31m, title \\x1b]0;x\\x07"),
        ("a\x00b\rc\x85d\u2028e", "a\\x00b\\x0dc\\x85d\\u2028e"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
    ],
)
def test_what_cannot_be_shown_is_escaped(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(SURROGATES)
def test_any_text_can_be_encoded_and_stays_as_it_is_the_second_time(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    clean(text).encode()
    assert len(spelled(text).splitlines()) <= 1


def test_a_long_text_keeps_both_ends() -> None:
    assert clean("a" * 20 + "b" * 30, limit=10) == "aaaaa [... 40 characters left out ...] bbbbb"
    assert clean("abc", limit=3) == "abc"
    assert clean("abcd", limit=1) == "a [... 3 characters left out ...] "
    assert len(clean("\x1b" * 50_000_000, limit=1000)) < 4100


def test_one_name_has_one_spelling() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert spelled(decomposed) == spelled(composed) == composed
    assert spelled("a\nb\tc") == "a\\nb\\tc"
    assert same_names([composed, "ant", decomposed, "ant"]) == [[composed, decomposed]]


def test_a_long_listing_is_counted() -> None:
    assert listing(["a", 2], 2) == "a, 2"
    assert listing(map(str, range(2010)), 2) == "0, 1 and 2,008 more"
    assert listing([]) == ""

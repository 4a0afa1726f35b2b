"""2,000 manifests and 1,000 parts nobody wrote: a line each, and what is read is what was written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import invoke
from support.hostile import CHANGES, DEEP, EDITS, Change, Edit, bounded, damaged, edited, examples, survives

from albench.benchmark.types import UserError
from albench.results.record.store import RunStore

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]


@examples(1500)
@given(edits=EDITS)
def test_manifests_with_other_values(made: Path, copy: Path, edits: list[Edit]) -> None:
    _with_manifest(made, copy, edited(json.loads((made / "manifest.json").read_text()), edits).encode())


@examples(500)
@given(changes=CHANGES, deep=st.booleans())
def test_manifests_with_other_bytes(made: Path, copy: Path, changes: list[Change], deep: bool) -> None:
    whole = DEEP.encode() if deep else (made / "manifest.json").read_bytes()
    _with_manifest(made, copy, damaged(whole, changes))


def _with_manifest(made: Path, copy: Path, content: bytes) -> None:
    (anew(made, copy) / "manifest.json").write_bytes(content)
    said = survives("status", copy)
    assert "\x1b" not in said.out + said.err
    with bounded():
        _same_or_less(made, copy)


@examples(60)
@given(edits=EDITS)
def test_reports_of_such_manifests(made: Path, copy: Path, edits: list[Edit]) -> None:
    manifest = edited(json.loads((made / "manifest.json").read_text()), edits)
    (anew(made, copy) / "manifest.json").write_text(manifest)
    said = invoke("report", copy, "--tables")  # draws and fits: five seconds are no bound for it on a busy machine
    assert said.status in (0, 2), said


@examples(1000)
@given(which=st.integers(0, 100), changes=CHANGES)
def test_parts(made: Path, copy: Path, which: int, changes: list[Change]) -> None:
    files = sorted(anew(made, copy).rglob("*.parquet"))
    part = files[which % len(files)]
    part.write_bytes(damaged(part.read_bytes(), changes))
    survives("status", copy)
    with bounded():
        _same_or_less(made, copy)


def anew(made: Path, copy: Path) -> Path:
    """Return the copy as the run was."""
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(made, copy, symlinks=True))


def _same_or_less(made: Path, copy: Path) -> None:
    """Assert that what can be read of the copy is what was written, and that what is missing is said."""
    whole = _rounds(RunStore.open(made))
    try:
        store = RunStore.open(copy)
        found = _rounds(store)
    except UserError:
        return
    pd.testing.assert_frame_equal(found, whole.loc[found.index], check_dtype=False)
    assert len(found) == len(whole) or store.notices, "rounds are missing without a word"
    for part in sorted((copy / "predictions").glob("part-*.parquet")):
        read = store.read_part(part)
        assert read.equals(store.read_part(made / "predictions" / part.name)) if read is not None else store.notices


def _rounds(store: RunStore) -> pd.DataFrame:
    rounds = store.rounds().set_index(["trial_id", "round"])
    for column in ("class_counts", "selected"):
        rounds[column] = rounds[column].map(tuple)
    return rounds

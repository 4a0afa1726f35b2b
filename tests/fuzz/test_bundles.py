"""500 bundles and as many manifests of cache entries nobody exported: a line each, and no array is another one."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import invoke, run, write_grid
from support.hostile import CHANGES, EDITS, Change, Edit, damaged, edited, examples, survives

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALBENCH_CACHE", str(folder / "cache"))
        assert run(write_grid(folder / "grid.yaml"), folder / "run").status == 0
        entry = next(path.parent for path in (folder / "cache").glob("*/manifest.json"))
        assert invoke("cache", "export", folder / "bundle.zip", entry.name).status == 0
    return folder / "bundle.zip"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@examples(300)
@given(changes=CHANGES)
def test_bundles_with_other_bytes(bundle: Path, empty: Path, changes: list[Change]) -> None:
    _imported(bundle, empty, damaged(bundle.read_bytes(), changes))


@examples(200)
@given(edits=EDITS, name=st.sampled_from(["", "../x/", "/", "\x1b[2J/"]), method=st.sampled_from([0, 8, 12]))
def test_bundles_with_other_members(bundle: Path, empty: Path, edits: list[Edit], name: str, method: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(made, "w", method) as new:
        for member in old.namelist():
            content = old.read(member)
            text = edited(json.loads(content), edits) if member.endswith("manifest.json") else None
            new.writestr(name + member, content if text is None else text)
    _imported(bundle, empty, made.getvalue())


@examples(300)
@given(edits=EDITS)
def test_entries_whose_manifest_is_another(bundle: Path, empty: Path, edits: list[Edit]) -> None:
    assert invoke("cache", "import", bundle).status == 0
    manifest = next((empty / "cache").glob("*/manifest.json"))
    original = manifest.read_text()
    manifest.write_text(edited(json.loads(original), edits))
    for command in (["cache", "list"], ["list", "embeddings"], ["embed", "--verify"]):
        said = survives(*command)
        assert "\x1b" not in said.out + said.err
    survives("cache", "remove", manifest.parent.name, statuses=(0,))
    assert not manifest.parent.exists()


def _imported(bundle: Path, empty: Path, content: bytes) -> None:
    file = empty / "other.zip"
    file.write_bytes(content)
    survives("cache", "import", file, statuses=(0, 2))
    outside = {path.name for path in empty.iterdir()} - {"cache", "other.zip"}
    assert not outside, outside
    with zipfile.ZipFile(bundle) as whole:
        held = {name.partition("/")[2]: whole.read(name) for name in whole.namelist()}
    for path in (empty / "cache").glob("*/*"):
        if path.suffix == ".npy" or path.name.endswith(".npy"):
            assert path.read_bytes() == held[path.name]

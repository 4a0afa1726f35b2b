"""The grids that come with albench: the default one, and the studies of the literature."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ..registry import suggestion
from ..types import UserError

DEFAULT = "default"
LONGEST = 120  # characters of a summary
FOLDER = Path(__file__).resolve().parents[2] / "configs"


def paths() -> dict[str, Path]:
    """Return the files by the names that ``--grid`` takes, the default first."""
    studies = sorted((FOLDER / "studies").glob("*.yaml"))
    return {DEFAULT: FOLDER / "grid.yaml", **{path.stem: path for path in studies}}


def find(said: Path) -> Path:
    """Return the file that is meant: the one of this path, or, where there is none, the packaged grid of this name."""
    return said if said.is_file() else paths().get(str(said), said)


def summaries() -> dict[str, str]:
    """Return name -> the first sentence of what stands at its head."""
    return {name: _first_sentence(path) for name, path in paths().items()}


def text(name: str) -> str:
    """Return a packaged grid as it is written, or raise `UserError` with the names that there are."""
    found = paths()
    if name not in found:
        raise UserError(f"unknown grid {name!r}{suggestion(name, found)}")
    return found[name].read_text(encoding="utf-8")


def _first_sentence(path: Path) -> str:
    head = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line.removeprefix("#").strip())
    sentence = re.split(r"(?<!et al)\. ", " ".join(head))[0].removesuffix(".")
    return textwrap.shorten(sentence, LONGEST, placeholder=" ...")

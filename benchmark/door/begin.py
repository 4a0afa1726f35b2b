"""What a user begins with: files that are written once, and are theirs from then on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..types import UserError

TEMPLATES = Path(__file__).with_name("templates")


def grid(path: Path) -> list[str]:
    """Write a grid with a comment on each key; return what to say. Raises `UserError` where the file is there."""
    _write({path: _template("grid.yaml")})
    return [str(path), f"what it would take: albench run --grid {path} --dry-run"]


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _write(files: Mapping[Path, str]) -> None:
    """Write new files, all or none of them."""
    there = [str(path) for path in files if path.exists() or path.is_symlink()]
    if there:
        raise UserError("\n".join(f"{path}: is there already; nothing is overwritten" for path in there))
    for path, text in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except (OSError, ValueError) as error:  # ValueError: a name that this system cannot have
            raise UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error

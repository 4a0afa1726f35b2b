"""What a user begins with: files that are written once, and are theirs from then on."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from ..strangers import own
from ..types import UserError

NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
TEMPLATES = Path(__file__).with_name("templates")


def grid(path: Path) -> list[str]:
    """Write a grid with a comment on each key; return what to say. Raises `UserError` where the file is there."""
    _write({path: _template("grid.yaml")})
    return [str(path), f"what it would take: albench run --grid {path} --dry-run"]


def strategy(name: str) -> list[str]:
    """Write a rule and its test into the current folder; return what to say. Raises `UserError` for what is no name."""
    module = name.replace("-", "_")
    if not (NAME.fullmatch(name) and not keyword.iskeyword(module)):
        raise UserError(f"{name}: no name of a rule; legal: small letters, digits and -, a letter first (my-rule)")
    if (where := own.clash(module)) is not None:
        raise UserError(f"{name}: there is a module {module} already ({where}); take another name")
    cls = "".join(word.capitalize() for word in module.split("_"))
    words = {"MODULE": module, "CLASS": cls, "NAME": name}
    files = {Path(f"{module}.py"): "strategy.py.txt", Path(f"test_{module}.py"): "test_strategy.py.txt"}
    _write({path: re.sub("|".join(words), lambda m: words[m[0]], _template(t)) for path, t in files.items()})
    said = f"does it keep the contract: albench check {module}:{cls}"
    return [*map(str, files), said, f'in a grid: strategies: [random, "{module}:{cls}"]']


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

"""What a user begins with: files that are written once, and are theirs from then on."""

from __future__ import annotations

import keyword
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from .. import registry
from ..strangers import own
from ..types import UserError

NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")
TEMPLATES = Path(__file__).with_name("templates")
SAID = {
    "strategy": ("does it keep the contract: albench check {}", 'in a grid: strategies: [random, "{}"]'),
    "learner": ("does it keep the contract: albench check {}", 'in a grid: learners: [linear, "{}"]'),
    "encoder": ("what it is worth: albench embed --dataset digits --encoder {}", 'in a grid: embeddings: [raw, "{}"]'),
    "dataset": ("a look at it: albench show {} --embedding raw", 'in a grid: datasets: [wine, "{}"]'),
}
"""The kinds of plugins that there are, with what is said of a new one."""


def grid(path: Path) -> list[str]:
    """Write a grid with a comment on each key; return what to say. Raises `UserError` where the file is there."""
    _write({path: _template("grid.yaml")})
    return [str(path), f"what it would take: albench run --grid {shlex.quote(str(path))} --dry-run"]


def plugin(kind: str, name: str) -> list[str]:
    """Write a plugin of a kind, and its test, into the current folder; return what to say.

    Raises
    ------
    UserError
        For what is no name, or somebody's already, and where a file is there.
    """
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or keyword.iskeyword(module):
        legal = f"small letters, digits and -, a letter first (my-{kind})"
        raise UserError(f"{name!r} is no name for a plugin; legal: {legal}")
    if (where := own.clash(module)) is not None:
        raise UserError(f"{name}: there is a module {module} already ({where}); take another name")
    if taken := next((one for one in registry.KINDS if one.reserved & {name, module}), None):
        raise UserError(f"{name}: the {taken.kind} of this name is albench's, or installed; take another name")
    words = {"MODULE": module, "CLASS": "".join(map(str.capitalize, module.split("_"))), "NAME": name}
    files = {Path(f"{module}.py"): f"{kind}.py.txt", Path(f"test_{module}.py"): f"test_{kind}.py.txt"}
    _write({path: re.sub("|".join(words), lambda m: words[m[0]], _template(t)) for path, t in files.items()})
    reference = f"{module}:{words['CLASS']}"
    return [*map(str, files), *(line.format(reference) for line in SAID[kind])]


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _write(files: Mapping[Path, str]) -> None:
    """Write new files, all or none of them."""
    there = [str(path) for path in files if os.path.lexists(path)]
    if there:
        raise UserError("\n".join(f"{path}: is there already; nothing is overwritten" for path in there))
    made = list[Path]()
    for path, text in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
        except (OSError, ValueError) as error:  # ValueError: a name that this system cannot have
            for each in made:
                each.unlink(missing_ok=True)
            raise UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error

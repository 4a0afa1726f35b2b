"""What a page of the documentation shows as code, and how it is run: block by block, in one folder, as written.

- A block with ``title="FILE"`` is that file. YAML and TOML must parse, shell scripts must pass ``bash -n``, Python must
  compile.
- ``console``: lines after ``$`` are commands, the lines below what they print, where ``...`` stands for anything. One
  whose output begins with ``error:`` fails, all others succeed.
- ``python`` without a title is run by the interpreter; ``text`` is only shown.
- ``<!-- not run: REASON -->`` before a block says that it is not run, and why. It is still checked, a grid as one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import yaml

from albench.benchmark.grid import grid as grids

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SHOWN = ("text", "bibtex", "dockerfile")
LANGUAGES = ("console", "python", "yaml", "toml", "bash", *SHOWN)
_NOT_RUN = r"(?:^ *<!-- not run:(?P<why>(?:(?!-->).)*)-->\n+)?"
_FENCED = r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$"
_BLOCK = re.compile(_NOT_RUN + _FENCED, re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')
_SNIPPET = re.compile(r'^--8<-- "([^"]+)"\n', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of code; ``why_not`` is the reason where it is not run."""

    language: str
    text: str
    title: str = ""
    why_not: str | None = None


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order; what one takes from a file of the docs is in its text."""
    found = []
    for said in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = _SNIPPET.sub(lambda name: (ROOT / name[1]).read_text(encoding="utf-8"), dedent(said["text"]))
        title, why = _TITLE.search(said["info"]), said["why"]
        found.append(Block(said["language"], text, title[1] if title else "", why if why is None else why.strip()))
    return found


def check(block: Block) -> None:
    """Check what can be seen of a block without running it."""
    assert block.language in LANGUAGES, f"{block.language!r}: no language that is run; legal: {', '.join(LANGUAGES)}"
    assert block.why_not != "", "not run, without a reason"
    if block.language == "yaml":
        for said in yaml.safe_load_all(block.text):
            if block.why_not is not None and {*said} >= {*grids.REQUIRED}:
                grids.parse(block.text, block.title)
    elif block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "bash":
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    elif block.language == "python":
        compile(block.text, block.title or "block", "exec")


def run(block: Block, folder: Path) -> None:
    """Write the file that a block is, or run it; the folder is the current one of what runs."""
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.why_not is not None or block.language in (*SHOWN, "yaml", "toml"):
        return
    elif block.language == "python":
        status, out = _do([sys.executable, "-c", block.text], folder)
        assert status == 0, f"{block.text}\n{out}"
    elif block.language == "bash":
        status, out = _do(["bash", "-euc", block.text], folder)
        assert status == 0, f"{block.text}\n{out}"
    else:
        for command, shown in commands(block.text):
            status, out = _do(["bash", "-c", command], folder)
            assert (status != 0) == shown.startswith("error:"), f"$ {command}\n{status}\n{out}"
            assert not shown or _like(shown).fullmatch(_plain(out) + "\n"), f"$ {command}\n{out}\nis shown as\n{shown}"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console and what it prints there; a command goes on below a line that ends in ``\\``."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = re.sub(r"\\\n", "\\\\\0", part).partition("\n")
        yield command.replace("\0", "\n"), _plain(shown)


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _like(shown: str) -> re.Pattern[str]:
    """Return what a text looks like: ``...`` stands for anything in a line, alone for any lines or none."""
    lines = [
        r"(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


def _do(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command as a reader would, with ``albench`` and ``python`` those of this test; return status and output."""
    shims = folder.parent / f"{folder.name}-bin"
    shims.mkdir(exist_ok=True)
    for name, module in (("albench", "-m albench"), ("python", "")):
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (shims / name).chmod(0o755)
    surroundings = {key: value for key, value in os.environ.items() if key != "RAY_AUTH_MODE"}
    environment = {**surroundings, "PATH": f"{shims}{os.pathsep}{surroundings['PATH']}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    return done.returncode, done.stdout

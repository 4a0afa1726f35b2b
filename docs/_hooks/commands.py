"""``<!-- derived: commands -->`` becomes the reference of the command line, asked of click.

And ``<!-- derived: new strategy my-rule -->`` (learner, encoder, dataset) the file that ``albench new`` writes.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import click

from albench.benchmark.door import begin
from albench.cli import main

MARK = "<!-- derived: commands -->"
NEW = re.compile("<!-- derived: new ([a-z]+) ([a-z-]+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    markdown = NEW.sub(lambda said: _new(said[1], said[2]), markdown)
    return markdown.replace(MARK, "\n".join(reference())) if MARK in markdown else markdown


def reference() -> Iterator[str]:
    """Yield the lines on every command, those of groups (``cache list``) one by one."""
    for command, context in leaves(main, click.Context(main, info_name="albench")):
        yield from (f"## {context.command_path}", "", *_prose(command.help or ""), "", "```text")
        yield from (*(line.strip() for line in command.get_usage(context).splitlines()), "```", "")
        params = [param for param in command.get_params(context) if isinstance(param, click.Option)]
        options = [record for param in params if (record := param.get_help_record(context))]
        if options:
            yield from ("| option | what it does |", "| --- | --- |")
            yield from (f"| `{_cell(name)}` | {_cell(text)} |" for name, text in options)
        yield ""


def leaves(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield each command that does something, with its context, by name."""
    if not isinstance(command, click.Group):
        yield command, context
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None, name  # noqa: S101 - click has just listed it
        yield from leaves(below, click.Context(below, info_name=name, parent=context))


def _new(kind: str, name: str) -> str:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        file, *_ = begin.plugin(kind, name)
        return f"```python\n{Path(file).read_text(encoding='utf-8')}```"


def _prose(text: str) -> list[str]:
    return text.replace("\b", "").replace("*", r"\*").replace("<", "&lt;").splitlines()


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")

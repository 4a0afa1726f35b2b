"""``<!-- derived: commands -->`` becomes the reference of the command line, asked of click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from albench.cli import main

MARK = "<!-- derived: commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    return markdown.replace(MARK, "\n".join(reference())) if MARK in markdown else markdown


def reference() -> Iterator[str]:
    """Yield the lines on every command, those of groups (``cache list``) one by one."""
    for command, context in leaves(main, click.Context(main, info_name="albench")):
        yield from (f"## {context.command_path}", "", *_prose(command.help or ""), "", "```text")
        yield from (*(line.strip() for line in command.get_usage(context).splitlines()), "```", "")
        options = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
        if options:
            yield from ("| option | |", "| --- | --- |")
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


def _prose(text: str) -> list[str]:
    return text.replace("\b", "").replace("*", r"\*").replace("<", "&lt;").splitlines()


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")

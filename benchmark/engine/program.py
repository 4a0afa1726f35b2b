"""How a command ends: with its own words, one line for each mistake, one for a signal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from ..text import prepare_terminal, say_problems
from .guard import guarded, signal_of, stopped_by


class Program(click.Group):
    """A group of commands. Called as the program, it runs in a child process; click's own ``main`` runs it here."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        guarded(lambda: self.main(*args, **kwargs))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        prepare_terminal()  # before the first word: help and wrong usage are text too
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            number = signal_of(error)
            click.echo(stopped_by(number), err=True)
            sys.exit(128 + number)


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what a user can mend into one line per problem and an exit status; anything else is a fault of ours."""
    from ..types import UserError  # noqa: PLC0415 - `albench --help` loads no numpy

    try:
        yield
    except UserError as error:
        say_problems(str(error))
        sys.exit(error.exit_status)

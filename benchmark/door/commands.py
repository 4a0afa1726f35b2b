"""The commands that are about files: those in the cache, and those that a user begins with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from albench.benchmark.engine.program import user_errors
from albench.benchmark.text import say

# As in cli.py, a command imports what it needs when it runs.


@click.group()
def cache() -> None:
    """List, remove, export and import the embeddings in the cache."""


@cache.command("list")
def cache_list() -> None:
    """List what is in the cache, one line each."""
    from albench.datasets.embeddings.cache import shelf

    with user_errors():
        say("\n".join(shelf.listing()))


@cache.command("remove")
@click.argument("fingerprints", nargs=-1)
@click.option("--stale", is_flag=True, help="All that another version of albench wrote.")
def cache_remove(fingerprints: Sequence[str], stale: bool) -> None:
    """Remove entries and trainings with these FINGERPRINTS (first digits are enough), and all derived from them."""
    from albench.datasets.embeddings.cache import shelf

    if not fingerprints and not stale:
        raise click.UsageError("FINGERPRINTS are needed, or --stale")
    with user_errors():
        say("\n".join(shelf.remove(fingerprints, stale) or ["nothing to remove"]))


@cache.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("fingerprints", nargs=-1, required=True)
def cache_export(file: Path, fingerprints: Sequence[str]) -> None:
    """Write the entries with these FINGERPRINTS (their first digits are enough) into a FILE for a colleague."""
    from albench.datasets.embeddings.cache import bundle, shelf

    with user_errors():
        say("\n".join(f"exported {entry}" for entry in bundle.export(shelf.find(fingerprints), file)))


@cache.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def cache_import(file: Path) -> None:
    """Bring the entries of an exported FILE into the cache; each is checked."""
    from albench.datasets.embeddings.cache import bundle

    with user_errors():
        for packed in bundle.import_(file):
            say(f"{'had already' if packed.present else 'imported'} {packed}")


@click.command()
@click.argument("kind", type=click.Choice(["strategy", "learner", "encoder", "dataset"]))
@click.argument("name")
def new(kind: str, name: str) -> None:
    """Write a plugin of your own, a complete file, and its test into the current folder: new strategy my-rule."""
    from albench.benchmark.door import begin

    with user_errors():
        say("\n".join(begin.plugin(kind, name)))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="grid.yaml")
def init(file: Path) -> None:
    """Write a grid with a comment on each key into FILE [grid.yaml], which must not be there."""
    from albench.benchmark.door import begin

    with user_errors():
        say("\n".join(begin.grid(file)))

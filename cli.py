"""The command line: parse, call one function, print."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from albench import __version__

if TYPE_CHECKING:
    from albench.benchmark.registry import Registry

# The commands import what they need when they run: `albench --help` loads neither pandas nor Ray nor MLflow.

PIPED_WIDTH = 100
RETRIES = {"failed": "failed", "timeout": "timeout", "oom": "out-of-memory"}
KINDS = ("dataset", "embedding", "learner", "strategy", "budget", "seed")
LISTS = ("strategies", "datasets", "encoders", "learners")
EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="albench", prog_name="albench")
def main() -> None:
    """Benchmark active learning: paired, resumable, from one grid file to the tables of the literature."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy is loaded: sums are split the same way on every machine
    logging.getLogger("albench").handlers = [_Warnings()]


class _Warnings(logging.Handler):
    """Warnings as lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"{record.levelname.lower()}: {record.getMessage()}", err=True)


def _only(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, list[str]]:
    from albench.benchmark.registry import suggestion

    chosen: dict[str, list[str]] = {}
    for value in values:
        kind, text = (*value.split("=", 1), "")[:2]
        names = [name.strip() for name in text.split(",") if name.strip()]
        if kind not in KINDS:
            raise click.BadParameter(f"{value!r}: unknown kind {kind!r}{suggestion(kind, KINDS)}")
        if not names:
            raise click.BadParameter(f"{value!r}: expected KIND=NAMES, for instance {kind}=a,b")
        chosen.setdefault(kind, []).extend(names)
    return chosen


@main.command()
@click.option("--grid", "path", required=True, type=click.Path(path_type=Path), help="The grid file (YAML).")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where results go [runs/<grid name>].")
@click.option(
    "--engine", type=click.Choice(["ray", "inline"]), default="ray", show_default=True, help="On all cores, or in here."
)
@click.option("--workers", type=click.IntRange(min=1), help="How many trials run at once [all cores].")
@click.option("--address", help="A running Ray cluster ('auto', or host:port).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the grid; repeatable.")
@click.option("--only", multiple=True, callback=_only, metavar="KIND=NAMES", help="Run now only e.g. strategy=a,b.")
@click.option("--retry", multiple=True, type=click.Choice(list(RETRIES)), help="Try trials again that ended so.")
@click.option("--mlflow", metavar="URI|off", help="Tracking server [an SQLite file in the output folder].")
@click.option("--dry-run", is_flag=True, help="Check everything, list what would run and what cannot, write nothing.")
def run(
    path: Path,
    out: Path | None,
    engine: str,
    workers: int | None,
    address: str | None,
    overrides: Sequence[str],
    only: dict[str, list[str]],
    retry: Sequence[str],
    mlflow: str | None,
    dry_run: bool,
) -> None:
    """Run a grid: every trial that is not done yet. Killed anywhere, the same command goes on."""
    from albench.benchmark import grid as grids
    from albench.benchmark import run as runs
    from albench.benchmark.study import preview, resolve
    from albench.benchmark.types import Outcome

    console = _console()
    with _user_errors():
        grid = grids.load(path, overrides)
        if dry_run:
            for line in preview(resolve(grid, only)):
                click.echo(line)
            return
        outcomes = frozenset(Outcome(RETRIES[name]) for name in retry)
        out = out or Path("runs") / grid.name
        options = runs.Options(out, engine, workers, address, only, outcomes, mlflow)
        result = runs.run(grid, options, console, lambda: _write_report([out], None, "random", console))
    for notice in result.notices:
        console.print(notice, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if result.interrupted:
        console.print(f"{result.left} trials are left; the same command goes on", highlight=False, soft_wrap=True)
        sys.exit(130)
    failed = sum(n for outcome, n in result.outcomes.items() if outcome is not Outcome.DONE)
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("directories", nargs=-1, required=True, type=EXISTING)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to write [report/ in the run].")
@click.option("--baseline", default="random", show_default=True, help="The strategy that gains are measured against.")
def report(directories: Sequence[Path], out: Path | None, baseline: str) -> None:
    """Write the tables of one or several runs (Markdown, CSV, HTML) and show them."""
    with _user_errors():
        _write_report(directories, out, baseline, _console())


@main.command()
@click.argument("directory", type=EXISTING)
def status(directory: Path) -> None:
    """Say how far a run is: done, failed, unsupported, left."""
    from albench.results.report import status_lines

    with _user_errors():
        for line in status_lines(directory):
            click.echo(line)


@main.command("list")
@click.argument("kind", type=click.Choice(LISTS))
@click.argument("name", required=False)
def list_(kind: str, name: str | None) -> None:
    """List plugins, one line each; with a NAME its parameters, citation and needs."""
    from albench.benchmark import registry
    from albench.benchmark.params import describe

    plugins: Registry = getattr(registry, kind)
    with _user_errors():
        width = max(map(len, plugins.names()))
        lines = [f"{each:{width}}  {plugins.get(each).summary}" for each in plugins.names()]
        click.echo("\n".join(describe(plugins.get(name)) if name else lines))


@main.command()
@click.argument("strategy", metavar="STRATEGY")
def check(strategy: str) -> None:
    """Run the conformance suite on a strategy: a registered name, or module:Class of your own."""
    from albench.benchmark.conformance import check_named

    with _user_errors():
        results = check_named(strategy)
    for result in results:
        click.echo(
            f"{'pass' if result.passed else 'FAIL'}  {result.name}{': ' + result.message if result.message else ''}"
        )
    sys.exit(0 if all(result.passed for result in results) else 1)


@main.command("mlflow-sync")
@click.argument("directory", type=EXISTING)
@click.option("--mlflow", "uri", metavar="URI", help="Tracking server [an SQLite file in DIRECTORY].")
def mlflow_sync(directory: Path, uri: str | None) -> None:
    """Bring MLflow level with the Parquet files of a run; harmless to repeat."""
    from albench.results.follower import default_uri, sync

    with _user_errors():
        result = sync(directory, uri or default_uri(directory))
    click.echo(f"level: {result.trials} trials, {result.rounds} rounds; {result.written} trials written now")


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def _write_report(directories: Sequence[Path], out: Path | None, baseline: str, console: Console) -> None:
    from albench.results import report as reports
    from albench.results.terminal import render

    written = reports.write_report(directories, out or directories[0] / "report", baseline)
    render(written.summary, console)
    console.print(f"report: {', '.join(str(file) for file in written.files[:2])}", highlight=False, soft_wrap=True)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn what a user can mend into one line per problem and an exit status; anything else is a fault of ours."""
    from albench.benchmark.types import UserError

    try:
        yield
    except UserError as error:
        for line in str(error).splitlines():
            click.echo(f"error: {line}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main(prog_name="albench")

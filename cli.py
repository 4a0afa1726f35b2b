"""The command line: parse, call one function, print."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

from albench import __version__
from albench.benchmark.door.commands import cache, init, new
from albench.benchmark.engine.program import Program, user_errors
from albench.benchmark.text import Warnings, say

if TYPE_CHECKING:
    from albench.benchmark.engine.run import Result
    from albench.benchmark.registry import Registry

# The commands import what they need when they run: `albench --help` loads neither pandas nor Ray nor MLflow.

PIPED_WIDTH = 100
RETRIES = {"failed": "failed", "timeout": "timeout", "oom": "out-of-memory"}
LISTS = ("strategies", "datasets", "encoders", "learners")
OTHERS = ("embeddings", "grids")
EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="albench", prog_name="albench")
def main() -> None:
    """Benchmark active learning: paired, resumable, from one grid file to the tables of the literature."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy is loaded: sums are split the same way on every machine
    logging.getLogger("albench").handlers = [Warnings()]


def _only(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, list[str]]:
    from albench.benchmark.grid.study import chosen_kinds

    try:
        return chosen_kinds(values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where trials run."""
    engines = click.Choice(["ray", "inline"])
    for option in (
        click.option("--address", help="A running Ray cluster ('auto', or host:port)."),
        click.option("--workers", type=click.IntRange(min=1), help="How many trials run at once [all cores]."),
        click.option("--engine", type=engines, default="ray", show_default=True, help="On all cores, or in here."),
    ):
        command = option(command)
    return command


@main.command()
@click.option(
    "--grid", "path", required=True, type=click.Path(path_type=Path), help="A grid file (YAML), or one of `list grids`."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where results go [runs/<grid name>].")
@_engine_options
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the grid; repeatable.")
@click.option("--only", multiple=True, callback=_only, metavar="KIND=NAMES", help="Run now only e.g. strategy=a,b.")
@click.option("--retry", multiple=True, type=click.Choice(list(RETRIES)), help="Try trials again that ended so.")
@click.option("--mlflow", metavar="URI|off", help="Tracking server [an SQLite file in the output folder].")
@click.option("--dry-run", is_flag=True, help="Check everything, list what would run, at what cost, and what cannot.")
@click.option("--costs", multiple=True, type=EXISTING, help="A run by whose trials --dry-run tells time; repeatable.")
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
    costs: Sequence[Path],
) -> None:
    """Run a grid: every trial that is not done yet. Killed anywhere, the same command goes on."""
    from albench.benchmark.door.notebook import default_out, understand
    from albench.benchmark.engine import run as runs
    from albench.benchmark.engine.progress import StepProgress
    from albench.benchmark.grid.forecast import forecast
    from albench.benchmark.grid.study import preview, resolve
    from albench.benchmark.types import Outcome
    from albench.datasets.reading.transfer import offline

    console = _console()
    with user_errors():
        grid = understand(path, overrides)
        out = out or default_out(grid)
        if dry_run:
            with StepProgress(console) as steps, offline():
                study = resolve(grid, only, steps.report)
                say("\n".join(preview(study)))
                told = forecast(study, out, costs, workers, say, steps.report)
            say("\n".join(told))
            return
        outcomes = frozenset(Outcome(RETRIES[name]) for name in retry)
        options = runs.Options(out, engine, workers, address, only, outcomes, mlflow)
        result = runs.run(grid, options, console, lambda: _write_report([out], None, "random", console))
    _end(result, console)


@main.command()
@click.argument("directory", type=EXISTING)
@click.option("--learner", help="What to fit on the picks (said as in a grid) [as in the run].")
@click.option("--embedding", help="What to see them through (said as in a grid) [as in the run].")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where results go [beside DIRECTORY].")
@click.option("--mlflow", metavar="URI|off", help="Tracking server [an SQLite file in the output folder].")
@_engine_options
def replay(directory: Path, learner: str | None, embedding: str | None, out: Path | None, **engine: Any) -> None:
    """Score the picks of a finished run by another learner or embedding: select on A, evaluate on B."""
    from albench.benchmark import replay as replays
    from albench.benchmark.engine import run as runs
    from albench.benchmark.engine.progress import StepProgress

    if not (learner or embedding):
        raise click.UsageError("--learner or --embedding is needed: what to score the picks with")
    console, out = _console(), out or replays.default_out(directory, learner, embedding)
    with user_errors():
        with StepProgress(console) as steps:
            study = replays.prepare(directory, learner, embedding, steps.report)
        options = runs.Options(out, **engine)
        result = runs.carry_out(study, options, console, lambda: _write_report([out], None, "random", console))
    _end(result, console)


def _end(result: Result, console: Console) -> NoReturn:
    """Say what is left to say of a run, and exit: 0 when all is done, 1 when trials failed, 130 after Ctrl-C."""
    from albench.benchmark.types import Outcome

    for notice in result.notices:
        console.print(notice, style="yellow", highlight=False, markup=False, soft_wrap=True)
    if result.interrupted:
        console.print(f"{result.left} trials are left; the same command goes on", highlight=False, soft_wrap=True)
        sys.exit(130)
    failed = sum(n for outcome, n in result.outcomes.items() if outcome is not Outcome.DONE)
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("directories", nargs=-1, type=EXISTING)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to write [report/ in the run].")
@click.option("--baseline", default="random", show_default=True, help="The strategy that gains are measured against.")
@click.option("--figures", is_flag=True, help="Draw every chart as PDF, PNG and SVG as well.")
@click.option("--tables", is_flag=True, help="Only the tables (Markdown, CSV, LaTeX): no statistics, charts, page.")
@click.option("--literature", is_flag=True, help="Instead: print the published tables that albench carries.")
def report(
    directories: Sequence[Path], out: Path | None, baseline: str, figures: bool, tables: bool, literature: bool
) -> None:
    """Write the report of one or several runs (HTML, Markdown, CSV, LaTeX) and show its tables.

    Several runs make one report; where they share cells, it says what moved.
    """
    if literature:
        _print_literature(bool(directories or out or figures or tables))
        return
    if not directories:
        raise click.UsageError("DIRECTORIES are needed, or --literature")
    if figures and tables:
        raise click.UsageError("--figures and --tables exclude each other")
    with user_errors():
        _write_report(directories, out, baseline, _console(), figures=figures, tables_only=tables)


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The run to make.")
@click.option("--columns", default="", metavar="OURS=THEIRS,..", help="accuracy=test_acc, seed=#2, dataset=:toys ...")
def import_(file: Path, out: Path, columns: str) -> None:
    """Make a run of learning curves that others measured, so that the report and its statistics apply to them.

    FILE has dataset, strategy, seed, n_labels, accuracy, and perhaps embedding, learner, budget, balanced_accuracy,
    macro_f1, elapsed_seconds. THEIRS: a name, place (#2), text (:toys), * (headings of accuracies), acc% (percent).
    """
    from albench.results.literature.foreign import import_curves
    from albench.results.literature.foreign_columns import parse_columns

    with user_errors():
        lines = import_curves(file, out, parse_columns(columns)).lines
    say("\n".join(lines))


@main.command()
@click.argument("directory", type=EXISTING)
def status(directory: Path) -> None:
    """Say how far a run is: done, failed, unsupported, left."""
    from albench.results.report.report import status_lines

    with user_errors():
        for line in status_lines(directory):
            say(line)


@main.command("list")
@click.argument("kind", type=click.Choice([*LISTS, *OTHERS]))
@click.argument("name", required=False)
def list_(kind: str, name: str | None) -> None:
    """List plugins, one line each; with a NAME its parameters, citation and needs.

    Embeddings are those in the cache with their quality; NAME is the start of a fingerprint. Grids are those that come
    with albench, for --grid; with a NAME the text of one.
    """
    from albench.benchmark import registry
    from albench.benchmark.grid import packaged
    from albench.benchmark.grid.params import describe

    if kind == "embeddings":
        from albench.datasets.embeddings.cache import shelf

        with user_errors():
            say("\n".join(shelf.described(name) if name else shelf.qualities()))
        return
    with user_errors():
        if name and kind == "grids":
            say(packaged.text(name).rstrip())
            return
        plugins: Registry | None = None if kind == "grids" else getattr(registry, kind)
        if name and plugins:
            say("\n".join(describe(plugins.get(name))))
            return
        summaries = plugins.summaries() if plugins else packaged.summaries()
        width = max(map(len, summaries))
        say("\n".join(f"{each:{width}}  {summary}" for each, summary in summaries.items()))


@main.command()
@click.argument("dataset")
@click.option("--embedding", required=True, help="What the data are seen through (said as in a grid).")
@click.option("--strategy", "strategies", multiple=True, help="Show what it buys; repeatable, one panel each.")
@click.option("--n", default="1/class", show_default=True, help="How many labels each strategy buys.")
@click.option("--learner", default="linear", show_default=True, help="The model of strategies that need one.")
@click.option("--initial", default="0", show_default=True, help="How many labels there are before, drawn at random.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The seed of the trial.")
@click.option(
    "--projection", type=click.Choice(["t-sne", "pca"]), default="t-sne", show_default=True, help="To two dimensions."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A .png or .svg file [show-<data>.png].")
def show(dataset: str, embedding: str, strategies: Sequence[str], **said: Any) -> None:
    """Draw a picture of a dataset: its embedding in two dimensions, and what strategies would buy in it."""
    from albench.benchmark.engine.progress import StepProgress
    from albench.benchmark.show import Asked
    from albench.benchmark.show import show as draw

    with user_errors(), StepProgress(_console()) as steps:
        path, notices = draw(Asked(dataset, embedding, strategies, **said), steps.report)
    for notice in notices:
        say(notice, error=True)
    say(str(path))


@main.command()
@click.option("--dataset", help="What to embed (said as in a grid: name, name:value or '{name: ..., key: ...}').")
@click.option("--encoder", help="How (said as in a grid).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For data split by seed.")
@click.option("--recompute", is_flag=True, help="Replace what the cache holds.")
@click.option("--verify", is_flag=True, help="Instead: hash everything in the cache and name what is damaged.")
def embed(dataset: str | None, encoder: str | None, seed: int, recompute: bool, verify: bool) -> None:
    """Compute an embedding ahead of a run, and say what it is worth; or verify the cache."""
    from albench.benchmark.engine.progress import StepProgress
    from albench.benchmark.grid.fill import fill
    from albench.datasets.embeddings.cache import shelf

    if verify and (dataset or encoder or recompute):
        raise click.UsageError("--verify takes no other option: it reads all that is in the cache")
    if verify:
        sys.exit(_verify())
    if not (dataset and encoder):
        raise click.UsageError("--dataset and --encoder are needed, or --verify")
    with user_errors(), StepProgress(_console()) as steps:
        embedded = fill(dataset, encoder, seed, recompute, steps.report)
    say("\n".join(shelf.quality_lines(embedded.entry.manifest)))


main.add_command(cache)
main.add_command(init)
main.add_command(new)


@main.command()
@click.argument("name", metavar="NAME")
def check(name: str) -> None:
    """Run the conformance suite on a strategy or a learner.

    NAME is a registered name, module:Class of your own, or '{name: ..., parameter: ...}' as in a grid.
    """
    from albench.benchmark.door import check

    with user_errors():
        results = check.check(name)
    for result in results:
        why = f": {result.message}" if result.message else ""
        say(f"{'pass' if result.passed else 'FAIL'}  {result.name}{why}")
    sys.exit(0 if all(result.passed for result in results) else 1)


@main.command("mlflow-sync")
@click.argument("directory", type=EXISTING)
@click.option("--mlflow", "uri", metavar="URI", help="Tracking server [an SQLite file in DIRECTORY].")
def mlflow_sync(directory: Path, uri: str | None) -> None:
    """Bring MLflow level with the Parquet files of a run; harmless to repeat."""
    from albench.results.tracking.follower import default_uri, sync

    with user_errors():
        result = sync(directory, uri or default_uri(directory))
    if result.notice:
        say(result.notice, error=True)
    say(f"level: {result.trials} trials, {result.rounds} rounds; {result.written} trials written now")


def _verify() -> int:
    """Print each entry of the cache as it is hashed, and return the exit status."""
    from albench.datasets.embeddings.cache import shelf

    damaged = []
    with user_errors():
        for line, sound in shelf.verified():
            say(line)
            damaged.append(not sound)
    say(f"{len(damaged)} entries, {sum(damaged)} damaged")
    return 1 if any(damaged) else 0


def _print_literature(with_others: bool) -> None:
    from albench.results.report.surveys import survey_text

    if with_others:
        raise click.UsageError("--literature goes alone; the report of a run has its published numbers in it")
    console = _console()
    text = survey_text(console.width)
    say(text if console.encoding.startswith("utf") else text.replace("±", "+/-"))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, emoji=False)


def _write_report(directories: Sequence[Path], out: Path | None, baseline: str, console: Console, **how: bool) -> None:
    from albench.results.report import report as reports
    from albench.results.report.terminal import render

    written = reports.write_report(directories, out or directories[0] / "report", baseline, **how)
    render(written.summary, console)
    made = [str(file) for file in written.files if file.stem == "report"]
    console.print(f"report: {', '.join(made)}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main(prog_name="albench")

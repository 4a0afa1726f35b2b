"""The tables as a terminal shows them, and the short texts of cells that the report shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...benchmark.types import Outcome
from ..measures.board.answers import answers, overall
from ..measures.board.leaderboard import interval_of, leaderboard
from ..measures.board.places import ordered_budgets
from ..measures.findings import apart
from ..measures.stats import BEST, Interval
from ..measures.tables import STATES, Cell, Setting, Summary
from ..measures.words import UNSAID, count, interval_text
from .marks import PLAIN_SIGNS, SIGNS, explained, labelled

FULL_DATA_ROW = "full data (final/1)"
MOST_ANSWERS = 8
"""So many settings and budgets have a sentence at the top; of more, each budget has one."""


@dataclass(frozen=True)
class Style:
    """How cells are written: the sign before half an interval, and the number of seeds that needs no mention."""

    plus_minus: str = "±"
    usual_n: int | None = None

    @property
    def signs(self) -> Mapping[str, str]:
        """The signs of marked strategies, in the same letters."""
        return SIGNS if self.plus_minus == "±" else PLAIN_SIGNS

    def cell(self, cell: Cell) -> str:
        """Return ``0.812 ±0.021 +3.2``, with ``n=4`` where that is unusual, or what became of a cell without values."""
        if not cell.n:
            return cell.status
        gain = "" if cell.is_baseline or isnan(cell.gain_aubc.mean) else f" {cell.gain_aubc.mean:+.1f}"
        return f"{self.mean(cell.aubc)}{gain}{self._n(cell)}"

    def bound(self, cell: Cell | None) -> str:
        """Return the full-data bound of a setting, or a dash."""
        if cell is None:
            return "-"
        return f"{self.mean(cell.final)} n={cell.n}" if cell.n else cell.status

    def mean(self, interval: Interval) -> str:
        half = "" if isnan(interval.low) else f" {self.plus_minus}{interval.half_width:.3f}"
        return f"{interval.mean:.3f}{half}"

    def _n(self, cell: Cell) -> str:
        return "" if cell.n == self.usual_n else f" n={cell.n}"


def usual_n(summary: Summary) -> int | None:
    """Return the number of seeds that most cells with values have; the greater of equals, None without any."""
    counts = Counter(cell.n for cell in summary.cells.values() if cell.n)
    return max(counts, key=lambda n: (counts[n], n), default=None)


def caption(summary: Summary, mark: str, n: int | None) -> str:
    """Say what the numbers of an overview table are; ``mark`` is how the best are marked."""
    seeds = "n=1 seed, so no interval," if n == 1 else f"n={n} seeds"
    return (
        f"aubc/1: mean and half of its 95 % interval, {seeds} where not said; then gain/1: aubc/1 less that"
        f" of {summary.baseline} on the same seeds, in points. {mark}: {BEST}."
    )


def render(summary: Summary, console: Console) -> None:
    """Print the answers, a table per budget (several where columns do not fit), the leaderboard, what is not done."""
    if not summary.cells:
        console.print("No results yet.")
    for line in answer_lines(summary):
        console.print(escape(line), highlight=False)
    n = usual_n(summary)
    style = Style("±" if console.encoding.startswith("utf") else "+/-", n)
    mark = "*" if console.color_system is None else "Bold"
    for budget in summary.budgets():
        for settings in _fitting(summary, budget, style, console.width):
            console.print(_table(summary, budget, settings, style, mark), highlight=False)
    if summary.cells:
        console.print(caption(summary, mark, n), style="dim", highlight=False)
        if note := explained(summary.strategies(), summary, style.signs):
            console.print(escape(note), style="dim", highlight=False)
        for board in _boards(summary, style, console.width):
            console.print(board, highlight=False)
    for line in (*unfinished(summary), *apart(summary), *earlier(summary)[:1]):
        console.print(escape(line), highlight=False, soft_wrap=True)


def answer_lines(summary: Summary) -> list[str]:
    """Return what the tests say, in a sentence for each setting and budget; where these are many, for each budget."""
    if not any(cell.n for cell in summary.cells.values()):
        return []
    each = answers(summary)
    return [str(one) for one in each] if len(each) <= MOST_ANSWERS else overall(summary) or [str(one) for one in each]


def unfinished(summary: Summary) -> list[str]:
    """Return one line per cell that is not wholly done: what became of it, and why; one per setting that cannot run."""
    return [f"{what}: {status}" + (f": {reasons}" if reasons else "") for what, status, reasons in not_done(summary)]


def earlier(summary: Summary) -> list[str]:
    """Return what belongs to an earlier state of the grid: how many trials, then one line per cell."""
    total = sum(sum(trials.values()) for trials in summary.earlier.values())
    if not total:
        return []
    first = (
        f"{count(total, 'trial')} of an earlier state of the grid (since changed): kept, but in no table; the grid as"
        " it was then shows them again"
    )
    return [first, *(f"earlier: {key}: {counted(trials)}" for key, trials in summary.earlier.items())]


def counted(trials: Mapping[str, int]) -> str:
    """Return trials by outcome, as ``2 done, 1 left``."""
    return ", ".join(f"{trials[name]} {name}" for name in STATES if trials.get(name))


def not_done(summary: Summary) -> list[tuple[str, str, str]]:
    """Return what is not wholly done: the cell (or a setting where nothing can run), its trials, and why."""
    runs = set(summary.settings())
    lines: dict[tuple[str, str], tuple[str, str, str]] = {}
    idle: Counter[tuple[str, str]] = Counter()
    for cell in [*summary.cells.values(), *summary.bounds.values()]:
        if cell.status:
            reasons = "; ".join(cell.reasons)
            what = str(cell.key if cell.key.setting in runs else cell.key.setting)
            idle[what, reasons] += sum(cell.outcomes.values())
            whole = f"{idle[what, reasons]} {Outcome.UNSUPPORTED}"
            lines[what, reasons] = (what, cell.status if cell.key.setting in runs else whole, reasons)
    return list(lines.values())


def _table(summary: Summary, budget: str, settings: list[Setting], style: Style, mark: str) -> Table:
    oracles = [name for name in summary.strategies() if summary.is_oracle(name)]  # below the line, as all bounds
    full_data = [FULL_DATA_ROW] if summary.bounds else []
    names = [*full_data, *(labelled(name, summary, style.signs) for name in oracles)]
    table = Table(title=f"budget {escape(budget)}", title_justify="left", show_footer=bool(names))
    table.add_column("strategy", footer=escape("\n".join(names)), no_wrap=True)
    for setting in settings:
        footer = [style.bound(summary.bounds.get(setting)) for _ in full_data]
        footer += [_text(summary, budget, setting, name, style) for name in oracles]
        header = "\n".join(_header(summary, setting))
        table.add_column(escape(header), footer=escape("\n".join(footer)), no_wrap=True)
    best = {setting: summary.best(setting, budget) for setting in settings}
    for strategy in (name for name in summary.strategies() if name not in oracles):
        texts = []
        for setting in settings:
            text = escape(_text(summary, budget, setting, strategy, style))
            is_best = strategy in best[setting]
            texts.append(f"[bold]{text}[/bold]{'*' if mark == '*' else ''}" if is_best else text)
        table.add_row(escape(labelled(strategy, summary, style.signs)), *texts)
    return table


def _boards(summary: Summary, style: Style, width: int) -> Iterator[Table]:
    """Yield the leaderboard of each regime; columns at the right that do not fit are left out (the report has them)."""
    board = leaderboard(summary)
    regimes = summary.regimes()
    budgets = ordered_budgets(summary) if len(summary.budgets()) > 1 else []
    for regime in regimes:
        own = board[board["regime"] == regime]
        columns = {
            "strategy": [labelled(name, summary, style.signs) for name in own["strategy"]],
            "rank": [_number(value, ".2f") for value in own["rank/1 mean"]],
            "gain": [interval_text(interval_of(row, "gain/1"), 1, "+") for _, row in own.iterrows()],
            "w/t/l": ["/".join(map(str, counts)) for counts in own[["wins", "ties", "losses"]].itertuples(index=False)],
            "seconds": [_number(value, ".2g") for value in own["select_s"]],
            **{budget: [_number(value, "+.1f") for value in own[f"gain/1 in {budget} mean"]] for budget in budgets},
        }
        title = f"leaderboard, {regime or UNSAID}" if len(regimes) > 1 else "leaderboard"
        table, used = Table(title=escape(title), title_justify="left"), 1
        for header, texts in columns.items():
            used += max(map(len, [header, *texts])) + 3
            if used > width:
                break
            table.add_column(escape(header), justify="left" if header == "strategy" else "right", no_wrap=True)
        shown = list(columns.values())[: len(table.columns)]
        for row in zip(*shown, strict=True):
            table.add_row(*map(escape, row))
        yield table


def _number(value: float, form: str) -> str:
    return "-" if isnan(value) else f"{value:{form}}"


def _text(summary: Summary, budget: str, setting: Setting, strategy: str, style: Style) -> str:
    cell = summary.get(setting, budget, strategy)
    return style.cell(cell) if cell else "-"


def _header(summary: Summary, setting: Setting) -> list[str]:
    several_learners = len({setting.learner for setting in summary.settings()}) > 1
    return [setting.dataset, setting.embedding, *([setting.learner] if several_learners else [])]


def _fitting(summary: Summary, budget: str, style: Style, width: int) -> Iterator[list[Setting]]:
    """Yield the settings of a budget in groups whose columns fit into ``width`` characters, at least one each."""
    names = [labelled(name, summary, style.signs) for name in summary.strategies()]
    first = max(len(name) for name in [*names, FULL_DATA_ROW]) + 4
    group: list[Setting] = []
    used = first
    for setting in summary.settings(budget):
        texts = [_text(summary, budget, setting, strategy, style) for strategy in summary.strategies()]
        texts += [*_header(summary, setting), style.bound(summary.bounds.get(setting))]
        column = max(len(text) for text in texts) + 4  # a mark, two spaces and a line
        if group and used + column > width:
            yield group
            group, used = [], first
        group.append(setting)
        used += column
    if group:
        yield group

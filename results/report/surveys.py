"""The published tables, printed from the data: one table per regime, a mark of provenance on every row, no ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from ..literature.published_numbers import Row, legend, published
from .blocks import Block
from .plain import lines

Texts = tuple[str, ...]
STUB = ("mark", "rule", "setting")
UNITS = {
    "accuracy": "accuracy",
    "aubc": "area under the accuracy curve",
    "aubc_balanced_accuracy": "area under the curve of balanced accuracy",
    "mean_accuracy_over_rounds": "mean accuracy over the rounds named",
    "accuracy_gain_over_random_pp": "gain over random in points",
}


@dataclass(frozen=True)
class View:
    """How the tables of one source are laid out: what makes a table, its rows and its columns (lines of the title)."""

    source: str
    title: str
    table: Callable[[Row], Texts]
    column: Callable[[Row], Texts]
    setting: Callable[[Row], str] = lambda _: ""
    last_only: bool = False
    note: str = ""


def _family(row: Row) -> str:
    """Return a setting without its last part: ``...; batch 1000, 4 seeds``."""
    return row.setting.rpartition("; ")[0] or row.setting


def _is_table(row: Row) -> bool:
    """Tell a printed table from single labels of a figure, which are gathered under it."""
    return "table" in row.table.lower()


VIEWS = (
    View(
        "labelbench",
        "LabelBench",
        table=lambda row: (_family(row),),
        column=lambda row: (row.dataset, *row.setting.rpartition("; ")[2].split(", ")),
        last_only=True,
    ),
    View(
        "boss",
        "BoSS on DINOv2",
        table=lambda row: (row.budget.partition(":")[0], row.setting.partition(", init")[0]),
        column=lambda row: (row.dataset, row.budget.partition(": ")[2].removesuffix(" labels")),
    ),
    View(
        "rebenchmark",
        "Lu et al.",
        table=lambda row: (row.setting, row.budget),
        column=lambda row: (row.dataset,),
        note="One rule's name is printed as nan.",
    ),
    View(
        "realistic-al",
        "Realistic-AL",
        table=lambda row: (row.table, row.setting.partition(", label regime")[0]),
        column=lambda row: (
            row.dataset,
            *row.setting.partition("label regime ")[2].split(", "),
            *row.budget.split(" ", 1),
        ),
    ),
    View(
        "typiclust",
        "TypiClust",
        table=lambda row: (row.table, row.setting),
        column=lambda row: (row.dataset, f"{row.budget or '?'} labels"),
    ),
    View(
        "munjal",
        "Munjal et al.",
        table=lambda row: (row.table, row.dataset, row.setting if _is_table(row) else ""),
        column=lambda row: tuple(row.budget.replace(")", "").split(" (")),
        setting=lambda row: "" if _is_table(row) else row.setting,
    ),
)


def survey() -> list[Block]:
    """Return the surveyed tables, then what else the data hold; every row with the mark of its provenance."""
    rows = published()
    content = [block for view in VIEWS for block in _view(view, [row for row in rows if row.source == view.source])]
    shown = {view.source for view in VIEWS}
    head = Block(
        "Published numbers",
        text=f"{len(rows)} numbers of {len({row.source for row in rows})} sources, as printed by their authors, with"
        " their standard deviation where there is one. One table is one regime: numbers of different tables do not"
        " compare, and nothing is ranked. All rows, with table and address: results/literature/. Marks:",
        items=legend({row.mark for row in rows}),
    )
    return [head, *content, _others([row for row in rows if row.source not in shown])]


def survey_text(width: int) -> str:
    """Return the survey as plain text with lines of at most ``width`` characters."""
    return "\n".join(
        line for block in survey() for line in lines(block, width, sum(name in STUB for name in block.columns))
    )


def _view(view: View, rows: Sequence[Row]) -> Iterator[Block]:
    tables: dict[tuple[Texts, str], list[Row]] = {}
    for row in rows:
        if row.metric in UNITS:
            tables.setdefault((view.table(row), row.metric), []).append(row)
    papers = "; ".join(dict.fromkeys(row.paper for row in rows))
    yield Block(view.title, text=" ".join(filter(None, [f"{papers}.", view.note, _left_out(view, rows)])))
    for (names, metric), of in tables.items():
        yield _table(view, f"{view.title}: {', '.join(name for name in names if name)}", UNITS[metric], of)


def _table(view: View, title: str, unit: str, rows: Sequence[Row]) -> Block:
    rows = _last(rows) if view.last_only else rows
    usual: dict[Texts, Counter[float]] = {}
    for row in rows:
        usual.setdefault(view.column(row), Counter())[row.labels] += 1
    cells: dict[Texts, dict[Texts, str]] = {}
    for row in rows:
        column = view.column(row)
        odd = view.last_only and row.labels != _usual(usual[column])
        key = (row.mark, view.setting(row), row.strategy)
        cells.setdefault(key, {})[column] = _value(row) + (f" @{row.labels:.0f}" if odd else "")
    headers = [_header(column, usual[column] if view.last_only else None) for column in usual]
    with_setting = any(setting for _, setting, _ in cells)
    body = [
        (mark, *([setting] if with_setting else []), rule, *(texts.get(column, "-") for column in usual))
        for (mark, setting, rule), texts in cells.items()
    ]
    stub = ("mark", "setting", "rule") if with_setting else ("mark", "rule")
    at_other = " @: at another number of labels than the column says." if "@" in str(body) else ""
    return Block(title, f"{unit[0].upper()}{unit[1:]}.{at_other}", columns=(*stub, *headers), rows=tuple(body), level=3)


def _header(column: Texts, labels: Counter[float] | None) -> str:
    last = () if labels is None else (f"at {_usual(labels):.0f}",)
    return "\n".join([*column, *last])


def _usual(labels: Counter[float]) -> float:
    return max(labels, key=lambda n: (labels[n], n))


def _last(rows: Sequence[Row]) -> list[Row]:
    """Return of each curve the row with the most labels."""
    last: dict[Texts, Row] = {}
    for row in rows:
        name = (row.origin, row.dataset, row.strategy)
        if name not in last or row.labels > last[name].labels:
            last[name] = row
    return list(last.values())


def _value(row: Row) -> str:
    if row.metric.endswith("_pp"):
        return f"{row.value:+.{min(row.digits, 2)}f}"
    return f"{row.value:.{row.digits}f}" + ("" if isnan(row.std) else f" ±{row.std:.4f}")


def _left_out(view: View, rows: Sequence[Row]) -> str:
    others = Counter(row.metric for row in rows if row.metric not in UNITS)
    texts = [f"{n} rows of {metric}" for metric, n in others.items()]
    if view.last_only:
        texts.insert(0, "the earlier points of the curves")
    return f"Not printed here: {', '.join(texts)}." if texts else ""


def _others(rows: Sequence[Row]) -> Block:
    groups = Counter((row.mark, row.source, row.regime, row.metric) for row in rows)
    return Block(
        "Also in the data",
        text="Not printed here.",
        columns=("mark", "source", "regime", "metric", "rows"),
        rows=tuple((*names, str(n)) for names, n in groups.items()),
    )

"""``<!-- derived: rounds -->`` (trials, predictions, test_sets, plan, firsts) becomes the columns of that table."""

from __future__ import annotations

import re
from typing import Any

from albench.results.record import schema

MARK = re.compile("<!-- derived: (rounds|trials|predictions|test_sets|plan|firsts) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    return MARK.sub(lambda mark: _table(mark[1]), markdown)


def _table(name: str) -> str:
    columns = [f"| `{column.name}` | {column.type} |" for column in getattr(schema, name.upper())]
    return "\n".join(["| column | type |", "| --- | --- |", *columns])

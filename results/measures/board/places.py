"""Settings and budgets as a reader meets them: their short names, their numbers of labels, the order of budgets."""

from __future__ import annotations

from ..tables import Setting, Summary


def short(summary: Summary, setting: Setting) -> str:
    """Return a setting's dataset, with its embedding and learner where the study has several of these."""
    settings = summary.settings()
    several = [len({other[i] for other in settings}) > 1 for i in range(len(setting))]
    return "/".join(name for i, name in enumerate(setting) if i == 0 or several[i])


def span(summary: Summary, setting: Setting, budget: str) -> tuple[int, int] | None:
    """Return the least and the greatest number of labels that any strategy has there; None where nothing is done."""
    counts = [n for cell in summary.of(setting, budget) for n in cell.curves.columns]
    return (int(min(counts)), int(max(counts))) if counts else None


def span_text(summary: Summary, setting: Setting, budget: str) -> str:
    """Return ``10 to 60 labels``."""
    found = span(summary, setting, budget)
    if found is None:
        return "no labels yet"
    return f"{found[0]:,} to {found[1]:,} labels" if found[0] < found[1] else f"{found[1]:,} labels"


def ordered_budgets(summary: Summary, setting: Setting | None = None) -> list[str]:
    """Return the budgets with values, of a setting or of all, by their number of labels at the end, then at the start.

    Of several settings by the sums: a budget that is given per class has other numbers in each.
    """
    settings = summary.settings() if setting is None else [setting]
    found: dict[str, tuple[int, int]] = {}
    for budget in summary.budgets():
        spans = [each for one in settings if (each := span(summary, one, budget))]
        if spans:
            found[budget] = (sum(last for _, last in spans), sum(first for first, _ in spans))
    return sorted(found, key=lambda budget: found[budget])

"""Where the numbers come from: definitions, manifests, what to cite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...measures.evidence import Evidence
from ...measures.metrics import METRICS
from ...measures.stats import INTERVALS
from ..blocks import ARXIV, DOI, Block, stem
from ..latex import escape as latex_escape

_APART = {"citations", "order", "earlier"}  # keys of a manifest that have their own place in the report


def blocks(evidence: Evidence) -> list[Block]:
    """Return the definitions of the metrics, the facts of each run's manifest, its grid, and the citations."""
    manifests = evidence.runs.manifests
    return [
        Block(
            "Definitions",
            text=INTERVALS,
            columns=("metric", "definition"),
            rows=tuple((i, d) for i, (_, d) in METRICS.items()),
        ),
        *(_provenance(name, manifest) for name, manifest in manifests.items() if manifest),
        *(Block(f"The grid of {name}", code=grid) for name, grid in evidence.runs.grids.items() if grid),
        _citations(manifests.values()),
    ]


def _provenance(name: str, manifest: Mapping[str, Any]) -> Block:
    return Block(f"Where {name} comes from", columns=("fact", "value"), rows=tuple(flat(manifest).items()))


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a manifest's facts as ``{"versions.numpy": "2.4.6"}``, without what the report prints elsewhere."""
    values: dict[str, str] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping) and key not in _APART:
            values |= flat(value, f"{prefix}{key}.")
        elif key not in _APART:
            values[prefix + key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _citations(manifests: Iterable[Mapping[str, Any]]) -> Block:
    texts = citations(manifests)
    items = tuple(f"{name}: {text}" for name, text in texts.items())
    return Block("Cite", items=items, code=bibtex(texts))


def citations(manifests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what to cite, by the name of the strategy, dataset, encoder or learner."""
    texts: dict[str, str] = {}
    for manifest in manifests:
        texts |= manifest.get("citations", {})
    return dict(sorted(texts.items()))


def bibtex(texts: Mapping[str, str]) -> str:
    """Return the citations as BibTeX: the whole text as title, with year, arXiv number and DOI where it names them."""
    entries = []
    for name, text in texts.items():
        fields = {"title": f"{{{latex_escape(text)}}}"}
        if years := re.findall(r"\b(?:19|20)\d\d\b(?![./])", text):
            fields["year"] = years[-1]
        if found := ARXIV.search(text):
            fields |= {"eprint": found[1], "archiveprefix": "arXiv", "url": f"https://arxiv.org/abs/{found[1]}"}
        if found := DOI.search(text):
            fields |= {"doi": found[1], "url": f"https://doi.org/{found[1]}"}
        lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
        entries.append(f"@misc{{{stem(name)},\n{lines}\n}}")
    return "\n\n".join(entries)

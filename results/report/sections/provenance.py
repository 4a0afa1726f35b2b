"""Where the numbers come from: definitions, manifests, what to cite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...measures.evidence import Evidence
from ...measures.metrics import METRICS
from ...measures.stats import INTERVALS
from ..blocks import Block

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


def _citations(manifests: Any) -> Block:
    texts: dict[str, str] = {}
    for manifest in manifests:
        texts |= manifest.get("citations", {})
    return Block("Cite", items=tuple(f"{name}: {text}" for name, text in sorted(texts.items())))

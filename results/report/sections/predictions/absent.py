"""Why a report has nothing that rests on predictions."""

from __future__ import annotations

from ....measures.evidence import Evidence
from ...blocks import Block


def absent(evidence: Evidence, title: str) -> Block:
    """Return the section with the reason why it is empty."""
    why = []
    for name, manifest in evidence.runs.manifests.items():
        reasons = manifest.get("predictions_not_kept")
        if reasons is None:
            why.append(
                f"{name}: it is of an albench that kept none, or imported; trials that are run from now on keep them"
            )
        else:
            why += [f"{name}, {dataset}: {reason}" for dataset, reason in reasons.items()]
    text = "This needs what each round predicted for each test row, and no cell has that of all its trials."
    return Block(title, text=text, items=(*why, *evidence.predictions.notices))

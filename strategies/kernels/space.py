"""In what space a rule measures distances: what the model's last layer sees, or the embedding it was given."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...benchmark.types import Features, Query

Space = Literal["model", "embedding"]
"""For a linear head the two are one."""


def needs(space: Space) -> frozenset[str]:
    """Return what a rule needs so that it can measure there."""
    return frozenset({"hidden"}) if space == "model" else frozenset()


def pool_in(query: Query, space: Space) -> Features:
    """Return the rows of the whole pool, (N, H) or (N, D)."""
    return query.of(np.arange(len(query.features))).hidden if space == "model" else query.features


def unlabelled_in(query: Query, space: Space) -> Features:
    """Return the unlabelled rows, (U, H) or (U, D)."""
    return query.hidden if space == "model" else query.features[query.unlabelled]

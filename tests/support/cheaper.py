"""Parameters of rules whose defaults would take a suite over all rules a minute."""

from typing import Any

from albench.strategies.coverage.typiclust import TypiClust
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

CHEAPER: dict[str, dict[str, Any]] = {
    "activeft": {"iterations": 10},
    "balanced-entropy": {"passes": 10},
    "boss-oracle": {"candidates": 2},
    "core-gcn": {"epochs": 10},
    "greedy-oracle": {"candidates": 3, "step": 3},
    "learning-loss": {"steps": 5},
    "qbc": {"members": 3},
    "refine": {"rules": (Random(), Margin(), TypiClust()), "depth": 2, "draws": 1},
    "selectal": {"splits": 1, "draws": 2},
    "ta-vaal": {"steps": 2, "hidden": 8, "ranker_steps": 2},
    "typiclust-dc": {"steps": 10},
    "uncertain-gcn": {"epochs": 10},
    "vaal": {"steps": 2, "hidden": 8},
    "vab-al": {"steps": 3, "draws": 2, "group": 2, "hidden": 8},
    "waal": {"steps": 3},
}

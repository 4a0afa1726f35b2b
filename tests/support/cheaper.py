"""Parameters of rules whose defaults would take a suite over all rules a minute."""

from typing import Any

CHEAPER: dict[str, dict[str, Any]] = {
    "balanced-entropy": {"passes": 10},
    "boss-oracle": {"candidates": 2},
    "core-gcn": {"epochs": 10},
    "qbc": {"members": 3},
    "selectal": {"splits": 1, "draws": 2},
    "typiclust-dc": {"steps": 10},
}

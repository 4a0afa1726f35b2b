"""One embedding for the cache, ahead of a run: the parts are said as in a grid."""

from __future__ import annotations

from ...datasets.embeddings.cache.store import Embedded, embed
from ...datasets.reading.base import Report, silent
from ...datasets.reading.loading import load
from .. import registry
from ..types import UserError
from .grid import inline
from .params import choose
from .study import check_encoder


def fill(dataset: str, encoder: str, seed: int = 0, recompute: bool = False, report: Report = silent) -> Embedded:
    """Return the embedding from the cache, or compute it; ``seed`` matters to a dataset that is split by seed.

    Raises
    ------
    UserError
        With everything that is wrong with the names and parameters, before any data are read.
    """
    problems: list[str] = []
    data = choose(registry.datasets, inline(dataset, "--dataset"), "--dataset", problems)
    how = choose(registry.encoders, inline(encoder, "--encoder"), "--encoder", problems)
    if data is None or how is None:
        raise UserError("\n".join(problems))
    loaded = load(data.value, seed, report)
    check_encoder(how, loaded)
    return embed(loaded, how.value, report=report, recompute=recompute)

"""What processes are asked to do that fall; they import it by its name."""

import os

from albench.datasets.embeddings.networks.together import Share
from albench.datasets.reading.base import Report


def raises(share: Share, report: Report) -> None:
    if share.rank == 1:
        raise ValueError("too wide")


def leaves(share: Share, report: Report) -> None:
    if share.rank == 1:
        os._exit(3)

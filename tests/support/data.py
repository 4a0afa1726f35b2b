"""What tests of datasets share."""

from __future__ import annotations

import pytest

from albench.datasets.reading.base import DataError, Dataset
from albench.datasets.reading.loading import load

FILL = "; fill them, or leave out these rows or columns"
"""What an error about values ends with."""


def messages(dataset: Dataset) -> list[str]:
    """Return what loading a dataset is refused with."""
    with pytest.raises(DataError) as caught:
        load(dataset, 0)
    assert str(caught.value) == "\n".join(caught.value.messages)
    return caught.value.messages

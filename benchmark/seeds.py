"""Random generators derived from names, never from call order: any draw can be repeated without its past."""

import hashlib

import numpy as np

from .types import canonical_json


def generator(*names: str | int) -> np.random.Generator:
    """Return the Generator of these names: equal names give equal draws on every machine and in every process."""
    digest = hashlib.sha256(canonical_json(list(names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))

"""Made features of a real size: clusters of unit rows, several to a class, so that every rule has something to find."""

from pathlib import Path

import numpy as np

from albench.benchmark.types import Derived, Features, Labels, Pool

CLUSTERS = 6  # to a class


def made(rows: int, test_rows: int, dims: int, classes: int, seed: int = 0) -> tuple[Features, Labels]:
    """Return unit rows (rows + test_rows, D) and their classes; a linear model gets most of them, not all."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes * CLUSTERS, dims), dtype=np.float32)
    cluster = rng.integers(len(centres), size=rows + test_rows)
    spread = rng.uniform(1.0, 2.5, size=len(centres)).astype(np.float32)[cluster]
    features = np.empty((len(cluster), dims), dtype=np.float32)
    for start in range(0, len(cluster), 8192):
        part = slice(start, start + 8192)
        noise = rng.standard_normal((len(cluster[part]), dims), dtype=np.float32)
        features[part] = centres[cluster[part]] + spread[part, None] * noise
        features[part] /= np.linalg.norm(features[part], axis=1, keepdims=True)
    return features, cluster % classes


def made_pool(rows: int, test_rows: int, dims: int, classes: int) -> Pool:
    """Return them as a pool whose artefacts stay in memory."""
    features, labels = made(rows, test_rows, dims, classes)
    names = tuple(f"class {c}" for c in range(classes))
    derived = Derived(features[:rows], lambda _: np.random.default_rng(0))
    return Pool(features[:rows], labels[:rows], features[rows:], labels[rows:], names, derived)


def write_npz(path: Path, rows: int, test_rows: int, dims: int, classes: int) -> Path:
    """Write them as the dataset ``arrays`` reads them."""
    x, y = made(rows, test_rows, dims, classes)
    np.savez(path, train=x[:rows], train_labels=y[:rows], test=x[rows:], test_labels=y[rows:])
    return path

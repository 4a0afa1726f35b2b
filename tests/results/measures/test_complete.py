"""The largest set of complete blocks, against all sets there are."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from albench.results.measures import complete

NAMES = "abcdefghi"


def size(names: frozenset[str], patterns: Counter[frozenset[str]]) -> int:
    return len(names) ** 2 * sum(n for pattern, n in patterns.items() if names <= pattern)


def largest(patterns: Counter[frozenset[str]]) -> int:
    every = (frozenset(names) for k in range(2, len(NAMES) + 1) for names in combinations(NAMES, k))
    return max(size(names, patterns) for names in every)


def test_three_of_four_blocks_that_each_lack_another_strategy() -> None:
    nine = frozenset(NAMES)
    patterns = Counter(nine - {name} for name in "abcd")
    assert size(complete._best(patterns), patterns) == 6**2 * 3  # no two of them make more than 7**2 * 2


@pytest.mark.parametrize("seed", range(40))
def test_the_largest_set_is_that_of_all_there_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    holes = rng.integers(1, 2 + seed % 3, size=rng.integers(1, 12))
    patterns = Counter(frozenset(NAMES) - set(rng.choice(list(NAMES), n).tolist()) for n in holes)
    assert size(complete._best(patterns), patterns) == largest(patterns)


def test_of_too_many_patterns_only_pairs_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    nine = frozenset(NAMES)
    patterns = Counter(nine - {name} for name in "abcd")
    monkeypatch.setattr(complete, "MOST_PATTERNS", 5)
    assert size(complete._best(patterns), patterns) == 7**2 * 2

"""Every registered rule on pools that hypothesis makes up: exact batches, the same ones when asked again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.cheaper import CHEAPER

from albench.benchmark.conformance.calls import answer
from albench.benchmark.conformance.pools import Case
from albench.benchmark.query import WITHOUT_LABELS
from albench.benchmark.registry import needs_of, strategies
from albench.benchmark.types import Features, Strategy

SIZES = st.one_of(st.integers(1, 9), st.integers(10, 60), st.integers(61, 200))
SCALES = st.sampled_from([1.0, 1e-6, 1e-2, 1e4])
SHARPNESS = st.sampled_from([1.0, 0.0, 0.1, 30.0, 1e6])
SHAPES = st.sampled_from(["cloud", "clusters", "duplicates", "grid", "one point", "zeros among", "one axis"])


def points(shape: str, rng: np.random.Generator, size: int, dims: int) -> NDArray[np.float64]:
    cloud = rng.normal(size=(size, dims))
    shapes: dict[str, NDArray[np.float64]] = {
        "cloud": cloud,
        "clusters": 5 * rng.normal(size=(4, dims))[rng.integers(4, size=size)] + 0.1 * cloud,
        "duplicates": cloud[rng.integers(1 + size // 4, size=size)],
        "grid": rng.integers(-2, 3, size=(size, dims)).astype(np.float64),
        "one point": np.tile(cloud[:1], (size, 1)),
        "zeros among": cloud * (rng.random(size) < 0.5)[:, None],
        "one axis": cloud * (np.arange(dims) == 0),
    }
    return shapes[shape]


def made(seed: int, shape: str, size: int, dims: int, classes: int, labelled: int, n: int) -> Case:
    rng = np.random.default_rng(seed)
    features: Features = points(shape, rng, size, dims).astype(np.float32)
    hidden, bought = rng.integers(classes, size=size), rng.permutation(size)[:labelled]
    return Case(shape, features, hidden, bought, n, np.arange(size), n_classes=classes)


@st.composite
def cases(draw: st.DrawFn, needs: frozenset[str]) -> Case:
    """Draw a pool that a rule with these needs may be asked about: it is spared what the loop spares it."""
    unnamed, validation = int(not needs <= WITHOUT_LABELS), int("validation" in needs)
    size = draw(SIZES) + unnamed + validation
    labelled = draw(st.one_of(st.integers(unnamed, size - 1 - validation), st.just(unnamed)))
    left = size - labelled - validation
    n = draw(st.one_of(st.integers(1, left), st.sampled_from([1, left])))
    shape = draw(SHAPES), draw(st.integers(1, 8)), draw(st.integers(2, 12))
    case = made(draw(st.integers(0, 2**32 - 1)), shape[0], size, shape[1], shape[2], labelled, n)
    features = (case.features * draw(SCALES) + draw(st.sampled_from([0, 100]))).astype(np.float32)
    return replace(case, features=features, sharpness=draw(SHARPNESS), apart=draw(st.booleans()))


def asked_twice(name: str, case: Case, seed: int) -> None:
    rule: Strategy = strategies.get(name).cls(**CHEAPER.get(name, {}))
    needs = needs_of(rule)
    first, again = (answer(rule, case.query(needs, seed), str(case)) for _ in range(2))
    assert all(map(np.array_equal, first, again)), f"{case}: the same generator gives other rows"


@pytest.mark.parametrize("name", strategies.names())
def test_generated_pools(name: str) -> None:
    needs = needs_of(strategies.get(name).cls(**CHEAPER.get(name, {})))

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(case=cases(needs), seed=st.integers(0, 2**32 - 1))
    def exact_and_fixed(case: Case, seed: int) -> None:
        asked_twice(name, case, seed)

    exact_and_fixed()


@pytest.mark.parametrize("name", strategies.names())
def test_two_thousand_rows(name: str) -> None:
    asked_twice(name, made(7, "clusters", 2000, 8, 10, 40, 12), 7)

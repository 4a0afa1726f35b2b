"""How often intervals over seeds alone, and over seeds and test rows, hold a known truth: a table of simulations.

ALBENCH_PERF_DRAWS says how often each line is drawn (2,000): then one standard error of 95 % is half a point.
"""

import os
from itertools import product

import numpy as np
import pytest
from support.drawn import World

from albench.results.measures.crossed import crossed, interval, nested, share
from albench.results.measures.stats import Interval, difference_interval, share_interval

DRAWS = int(os.environ.get("ALBENCH_PERF_DRAWS", "2000"))
WORLDS = {
    "rows above all": World(0.80, 0.1, 1.5),
    "both": World(0.90, 0.2, 1.0),
    "seeds above all": World(0.70, 0.4, 0.5),
    "hardly any error": World(0.97, 0.2, 1.0),
}
SIZES = [(5, 100), (5, 1000), (5, 10_000), (10, 100), (10, 1000), (30, 100), (30, 1000)]

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def test_how_often_the_truth_is_held() -> None:
    rng = np.random.default_rng(0)
    names = ("share, seeds", "share, both", "gain, seeds", "gain, both", "own splits, seeds", "own splits, both")
    print(f"\n{'world':18}{'seeds':>6}{'rows':>7}" + "".join(f"{name:>19}" for name in names))
    inside, lines = 0, 0
    for (name, world), (seeds, rows) in product(WORLDS.items(), SIZES):
        draws = max(100, DRAWS // max(1, seeds * rows // 10_000))
        held = np.zeros(6)
        for _ in range(draws):
            x, y = world.crossed(rng, seeds, rows)
            over = share_interval(x.mean(axis=1, dtype=np.float64))
            held[:2] += holds(over, world.accuracy), holds(share(crossed(x), over), world.accuracy)
            d = 100 * (y - x)
            over = difference_interval(d.mean(axis=1, dtype=np.float64))
            held[2:4] += holds(over, world.gain), holds(interval(crossed(d), over), world.gain)
            x, _, drawn = world.resampled(rng, seeds, rows, 3 * rows)
            over = share_interval(x.mean(axis=1, dtype=np.float64))
            held[4:] += (
                holds(over, world.accuracy),
                holds(share(nested(list(x), 3 * rows, list(drawn)), over), world.accuracy),
            )
        rates = 100 * held / draws
        print(f"{name:18}{seeds:6}{rows:7}" + "".join(f"{rate:19.1f}" for rate in rates), flush=True)
        inside += int(((rates[1::2] >= 93) & (rates[1::2] <= 97)).sum())
        lines += 3
    print(f"{inside} of {lines} between 93 and 97")
    assert inside >= 0.8 * lines

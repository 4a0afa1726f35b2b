from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import pool_units
from ..kernels.herding import covers, gaussian, herd


@strategy(
    "max-herding",
    cite="Bae, Noh and Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024 "
    "(arXiv 2407.12212)",
    version=1,
)
@dataclass(frozen=True)
class MaxHerding:
    """Greedy maximisation of the generalized coverage: the mean similarity of the pool to its nearest labelled row.

    Similarity is exp(-(|x - x'| / ``width``)²) between unit rows. Each pick x' gains most in mean_x max(0, k(x, x') -
    cover(x)), the cover of x being its similarity to the nearest labelled or picked row (MaxHerding, Algorithm 1). The
    mean is over the whole pool, and all unlabelled rows are candidates (35,000 at most in the authors' code).

    Exact, it costs O(N² D): three to eight minutes at 50,000 x 512 on one core, since at this width no two unit rows
    are too far apart to count (k is at least e⁻⁴) and so nothing can be left out. Where ``targets`` is a number, the
    mean is over that many rows of the pool, drawn anew for each query: an approximation in O(N T D), good while the
    labelled rows are few beside T.
    """

    width: float = 1.0
    targets: int | None = None

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"max-herding: width is {self.width}; it must be above 0")
        if self.targets is not None and self.targets < 1:
            raise ValueError(f"max-herding: targets is {self.targets}; it must be at least 1, or null for all rows")

    def select(self, query: Query) -> Rows:
        units = targets = pool_units(query)
        if self.targets is not None and self.targets < len(units):
            targets = units[query.rng.choice(len(units), self.targets, replace=False)]
        cover = covers(gaussian(units[query.labelled], targets, self.width), len(query.labelled), len(targets))
        similarity = gaussian(units[query.unlabelled], targets, self.width)
        return query.unlabelled[herd(similarity, len(query.unlabelled), cover, query.n, query.rng)]

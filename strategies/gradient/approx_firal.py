from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.head.design import Blocks, relaxed, rounded
from ..kernels.head.factors import projected
from ..kernels.parameters import check


@strategy(
    "approx-firal",
    cite="Chen, Wen and Biros, A Scalable Algorithm for Active Learning, SC 2024 (arXiv 2409.07392); FIRAL: Chen and "
    "Biros, NeurIPS 2023 (arXiv 2409.07379)",
    version=2,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class ApproxFIRAL:
    """The batch with the least Fisher information ratio, tr((I_labelled + Σ_S I)⁻¹ mean I), relaxed and then rounded.

    RELAX: weights z >= 0 of the unlabelled rows, of sum n, that bring the ratio down, in so many ``steps`` of entropic
    mirror descent. ROUND: n rows for them by regret minimisation, one by one (`design.rounded`). Of a row's
    information, (C H, C H), the diagonal blocks alone are kept, p_k (1 - p_k) h hᵀ for each class k (p its
    probabilities, h what the model's last layer sees), so that nothing is larger than (C, d, d). ``ridge`` · 1 is added
    to what is labelled, so that it has an inverse: 0.01 as in `bait` (at 1, the precision of the weights of `linear`,
    few labels count for little beside it: Fashion-MNIST, 10 to 60 labels, -3.8 ± 2.7 points against `random`, and 1.6 ±
    2.0 at 0.01). ``eta`` is the learning rate of ROUND over √(C d).

    As summarised in the paper's abstract and the authors' pages; the steps inside are ours, from Allen-Zhu et al. 2017.
    Where we differ: the paper takes full blocks in RELAX (by conjugate gradients and random probes) and diagonal ones
    in ROUND alone; h is projected on the ``dims`` axes that hold most of its squared length, and a row tells of its
    ``classes`` likeliest classes only. Time, with d dims and c classes: O(U c d²) a step of RELAX, O(U c d + c d³ +
    U c² d² / C) a pick; memory O(U c d + C d²) in double precision.
    """

    ridge: float = 0.01
    eta: float = 8.0
    steps: int = 100
    dims: int = 30
    classes: int = 4

    def __post_init__(self) -> None:
        check("approx-firal", self, {"steps": 1, "dims": 1, "classes": 1}, above_0=("ridge", "eta"))

    def select(self, query: Query) -> Rows:
        rows, others = projected(query, self.dims)
        labelled = Blocks(query.of(query.labelled).probs, others, self.classes)
        pool = Blocks(query.probs, rows, self.classes)
        known = labelled.information(np.ones(len(others))) + self.ridge * np.eye(rows.shape[1])
        z = relaxed(pool, known, query.n, self.steps)
        eta = self.eta * np.sqrt(known.shape[0] * known.shape[1])
        return query.unlabelled[rounded(pool, known, z, query.n, eta, query.rng)]

from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.head.factors import Softmax, projected
from ..kernels.head.fisher import Trace, search, trace
from ..kernels.parameters import check


@strategy(
    "bait",
    cite="Ash, Goel, Krishnamurthy and Kakade, Gone Fishing: Neural Active Learning with Fisher Embeddings, NeurIPS "
    "2021 (arXiv 2106.09675)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class Bait:
    """The batch that brings its Fisher information nearest the pool's, over all classes.

    Minimises tr(M⁻¹ F) over batches S. A row has the Fisher information of a softmax, I(x) = (diag p - p pᵀ) x h hᵀ,
    (C H, C H): p (C,) its probabilities, h (H,) what the model's last layer sees. F is the mean of I over the labelled
    and the unlabelled, and with l labels M = ridge · 1 + (Σ_labelled I + n Σ_S I) / (l + n), the weights of the
    authors' code. Forward, ``oversample`` · n rows enter greedily, each the one after which the trace is least;
    backward, the row whose loss costs least leaves, until n are left (Algorithm 1).

    Two things are approximated, so that C H is small: h is projected on the ``dims`` axes that hold most of the pool's
    squared lengths (LabelBench projects on 30), and a row tells only what it tells among its ``classes`` likeliest, by
    their shares (`Softmax`; Fast Fishing, arXiv 2404.08981, takes an expectation over the likeliest, too, but leaves
    the probabilities as they are). With ``dims`` at least H and ``classes`` at least C the rule is exact, by Woodbury's
    identity. The authors' code keeps all of both. Like theirs, h has no bias. Their ``ridge`` is 1, and 0.01 on CIFAR:
    M is a mean, beside which 1 is much on embeddings.

    With d dims, c classes and K = C d, time is O(K³ + U c d K + n (U c² (d + c) + c K²)) and memory O(K² + U c (d + c))
    in double precision. Defaults are for pools of 50,000 rows and 100 classes; smaller ones afford more of both.
    """

    ridge: float = 0.01
    oversample: int = 2
    dims: int = 30
    classes: int = 2

    def __post_init__(self) -> None:
        check("bait", self, {"oversample": 1, "dims": 1, "classes": 2}, above_0=("ridge",))

    def select(self, query: Query) -> Rows:
        return query.unlabelled[search(self.trace(query), query.n, self.oversample, query.rng)]

    def trace(self, query: Query) -> Trace:
        """Return the trace before anything is picked, over the unlabelled rows."""
        pool, known = projected(query, self.dims)
        ours = Softmax(query.probs, pool, self.classes)
        return trace(ours, Softmax(query.of(query.labelled).probs, known, self.classes), query.n, self.ridge)

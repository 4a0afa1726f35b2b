"""Other people's: the pool strategies of scikit-activeml, under the names ``skactiveml:<QueryStrategy>``.

Of 1.0.1 `albench check` passes ContrastiveAL, CoreSet, Falcun, GreedyBALD, GreedySamplingX, MaxHerding,
QueryByCommittee, RandomSampling and UncertaintySampling. Badge and BatchBALD buy rows twice among duplicates; Clue,
DropQuery and TypiClust ask for more clusters than there are points; ProbCover needs two rows; Quire and
CostEmbeddingAL are slow.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from ...benchmark.registry import Family, Plugin, PluginError, UnknownNameError, strategies
from ...benchmark.types import Query, Rows
from ..kernels.theirs import lookup

LIBRARY, PREFIX = "scikit-activeml", "skactiveml"
CITE = "Herde et al., scikit-activeml: A Comprehensive and User-Friendly Active Learning Library, JMLR 27(184), 2026"
VERSION = 1
"""Of what we hand over. That of a plugin is this one and the library's: 1010001 where that is 1.0.1."""

FILLED = (
    *("missing_label", "random_state", "classes", "enforce_mapping"),
    *("sample_predictions_method_name", "sample_predictions_dict", "clf_embedding_flag_name", "predict_dict"),
    *("cluster_algo", "n_cluster_param_name", "distance_func"),
)
"""Parameters of their constructors that follow from what we hand over, or that no grid can say."""


@dataclass(frozen=True)
class Way:
    """How some of their strategies are asked.

    ``needs`` are ours, ``hand(query, passes)`` returns the ``X`` and the model of their ``query()``.
    """

    needs: frozenset[str]
    hand: Callable[[Query, int], dict[str, Any]]


FEATURES = Way(frozenset(), lambda query, _: {"X": query.features})
LABELLED = Way(frozenset({"labels"}), FEATURES.hand)
CLASSIFIER = Way(frozenset({"probabilities"}), lookup.classifier)
EMBEDDED = Way(frozenset({"probabilities", "hidden"}), partial(lookup.classifier, hidden=True))
HEAD = Way(frozenset({"hidden", "head"}), lookup.head)
ENSEMBLE = Way(frozenset({"passes"}), lookup.ensemble)
LEARNER = Way(frozenset({"probabilities", "learner"}), lookup.learner)

WAYS = {
    **dict.fromkeys(("CoreSet", "GreedySamplingX", "MaxHerding", "ProbCover", "RandomSampling", "TypiClust"), FEATURES),
    **dict.fromkeys(("CostEmbeddingAL", "Quire"), LABELLED),
    **dict.fromkeys(("Falcun", "UncertaintySampling"), CLASSIFIER),
    **dict.fromkeys(("Badge", "ContrastiveAL"), EMBEDDED),
    "Clue": Way(EMBEDDED.needs, partial(lookup.classifier, hidden=True, name="estimator")),
    "DropQuery": HEAD,
    **dict.fromkeys(("BatchBALD", "GreedyBALD", "QueryByCommittee"), ENSEMBLE),
    "MonteCarloEER": LEARNER,
}
NO_WAY = {
    "DiscriminativeAL": "it trains a discriminator that somebody must choose",
    "EpistemicUncertaintySampling": "it asks for scikit-activeml's own Parzen window or logistic regression",
    "ExpectedErrorReduction": "it is the base of MonteCarloEER",
    "FourDs": "it asks for scikit-activeml's own mixture model",
    "ParallelUtilityEstimationWrapper": "it wraps another strategy",
    "ProbabilisticAL": "it asks for a classifier that counts its neighbours (predict_freq)",
    "SubSamplingWrapper": "it wraps another strategy",
    "ValueOfInformationEER": "it reaches into scikit-activeml's own classifiers",
    **dict.fromkeys(
        (
            *("ExpectedModelChangeMaximization", "ExpectedModelOutputChange", "ExpectedModelVarianceReduction"),
            *("GreedySamplingTarget", "KLDivergenceMaximization", "RegressionTreeBasedAL"),
        ),
        "it is for regression",
    ),
}


@dataclass(frozen=True)
class Theirs:
    """A strategy of theirs, made anew for each query and seeded from its generator.

    Labels that are not there are NaN, candidates are the unlabelled rows. Strategies that look at features get the
    embedding; Badge, Clue and ContrastiveAL what the model's last layer sees. A clustering that they seed by nothing
    is seeded too. Their answer is not mended: where it is no batch, the trial fails and says so.
    """

    theirs: ClassVar[type]
    way: ClassVar[Way]

    def __post_init__(self) -> None:
        if getattr(self, "passes", 2) < 2:
            raise ValueError(f"passes is {getattr(self, 'passes', 2)}; it must be at least 2")

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self).__name__, {each.name: getattr(self, each.name) for each in fields(self)})

    def select(self, query: Query) -> Rows:
        seed = int(query.rng.integers(2**31 - 1))
        y = np.full(len(query.features), np.nan)
        y[query.labelled] = query.labels
        picks = self._made(seed, query.n_classes).query(
            y=y,
            candidates=query.unlabelled.copy(),
            batch_size=query.n,
            **self.way.hand(query, getattr(self, "passes", 0)),
        )
        return np.asarray(picks, dtype=np.int64)

    def _made(self, seed: int, n_classes: int) -> Any:
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "passes"}
        if "cluster_algo_dict" in said:
            said["cluster_algo_dict"] = {"random_state": seed, **(said["cluster_algo_dict"] or {})}
        if "classes" in inspect.signature(self.theirs).parameters:
            said["classes"] = list(range(n_classes))
        return self.theirs(random_state=seed, **said)


def _library() -> Any:
    """Return their package of pool strategies."""
    try:
        pool = importlib.import_module("skactiveml.pool")
    except ImportError as error:
        missing = (error.name or "").partition(".")[0] == "skactiveml"
        why = "is not installed" if missing else f"cannot be imported ({error})"
        raise PluginError(f"{LIBRARY} {why}; pip install 'albench[{PREFIX}]'") from error
    importlib.import_module("skactiveml.base").SkactivemlClassifier.register(lookup.Lookup)
    return pool


def _members() -> list[str]:
    pool = _library()
    return sorted(name for name in WAYS if hasattr(pool, name))


def _make(member: str) -> Plugin:
    name, pool = f"{PREFIX}:{member}", _library()
    if member not in WAYS or not hasattr(pool, member):
        if member in pool.__all__ and inspect.isclass(getattr(pool, member)):
            raise PluginError(f"{name} is unsupported: {NO_WAY.get(member, 'nobody has said yet what it asks for')}")
        raise UnknownNameError("strategy", name, [f"{PREFIX}:{one}" for one in _members()])
    theirs, way = getattr(pool, member), WAYS[member]
    doc = inspect.getdoc(theirs) or member
    parameters: list[Any] = [
        (each.name, _hint(each.default), field(default=each.default))
        for each in inspect.signature(theirs).parameters.values()
        if each.name not in FILLED
    ]
    if way is ENSEMBLE:
        parameters.append(("passes", int, field(default=10)))
    namespace = {
        "__doc__": f"{doc.splitlines()[0].strip('. ')}, as {LIBRARY} has it.",
        "__module__": __name__,
        "theirs": theirs,
        "way": way,
    }
    made = make_dataclass(member, parameters, bases=(Theirs,), namespace=namespace, frozen=True)
    major, minor, patch = (int(part) for part in re.findall(r"\d+", f"{version(LIBRARY)}.0.0")[:3])
    own = ((VERSION * 100 + major) * 100 + minor) * 100 + patch
    cite = "; ".join([*_references(doc), CITE])
    return Plugin("strategy", name, made, cite, own, way.needs, library=f"{LIBRARY} {version(LIBRARY)}")


def _hint(default: object) -> Any:
    """Return the type of a parameter as far as its default tells it."""
    return (int | float) if type(default) is int else type(default) if isinstance(default, (bool, float, str)) else Any


def _references(doc: str) -> list[str]:
    """Return the papers that a docstring names, a line each."""
    _, _, below = doc.partition("References\n")
    return [" ".join(one.split()).strip(". ") for one in re.split(r"\.\. \[\d+\]", below)[1:]]


def _again(member: str, said: dict[str, Any]) -> Theirs:
    """Return the strategy with these parameters, in a process that was handed it."""
    made: Theirs = strategies.get(f"{PREFIX}:{member}").cls(**said)
    return made


strategies.add_family(Family(PREFIX, _members, _make))

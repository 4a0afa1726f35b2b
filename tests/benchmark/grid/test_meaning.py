"""What `albench list KIND NAME` says of parameters: what their docstrings say."""

from dataclasses import dataclass

import pytest
from support.commands import invoke

from albench.benchmark import registry
from albench.benchmark.grid.meaning import meanings

KINDS = ("strategies", "learners", "encoders", "datasets")


@dataclass(frozen=True)
class Base:
    """What all share. After Cui et al. (2019), ``depth`` is how deep; it may
    be two. ``rate: 0`` is none, at a cost of ``rate x N``. This says nothing.
    """

    depth: int = 1
    rate: float = 0.0


@dataclass(frozen=True)
class Listed(Base):
    """One with a list.

    Of ``size`` more is said in prose, and the list counts.

    Parameters
    ----------
    size : int
        In pixels,
        of the shorter side.
    low, high
        The bounds.

    Raises
    ------
    ValueError
        Never; ``unsaid`` is not here.
    """

    size: int = 0
    low: int = 0
    high: int = 0
    unsaid: int = 0


@dataclass(frozen=True)
class Derived(Listed):
    """One that gives examples.

    - ``small`` has ``low: 3``.
    - ``large`` has 7 of ``unsaid``.
    """


class Plain:
    """No dataclass."""


def test_a_list_counts_before_prose_and_a_base_says_the_rest() -> None:
    assert meanings(Listed) == {
        "size": "In pixels, of the shorter side.",
        "low": "The bounds.",
        "high": "The bounds.",
        "depth": "After Cui et al. (2019), ``depth`` is how deep; it may be two.",
        "rate": "``rate: 0`` is none, at a cost of ``rate x N``.",
    }
    assert meanings(Derived) == {**meanings(Listed), "unsaid": "``large`` has 7 of ``unsaid``."}
    assert meanings(Plain) == {}


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in KINDS for name in getattr(registry, kind).names()],
    ids=lambda said: said,
)
def test_every_parameter_of_every_plugin_has_a_meaning(kind: str, name: str) -> None:
    plugin = getattr(registry, kind).get(name)
    parameters, meant = registry.parameters(plugin.cls), meanings(plugin.cls)
    assert [f"{name}: {field.name}" for field in parameters if field.name not in meant] == []


def test_it_is_shown_of_every_kind() -> None:
    shown = {
        "strategies": ("probcover", "  parameter purity: float, default 0.95", "a share of ``purity`` of all balls"),
        "datasets": (
            "wine",
            "  parameter noise: float, default 0.0",
            "``noise`` is the share of labels that are wrong",
        ),
        "learners": ("linear", "  parameter C: float, default 1.0", "Minimises ``C · Σ cross-entropy"),
        "encoders": ("pca", "  parameter dims: int, default 32", "The first ``dims`` principal components"),
    }
    for kind, (name, parameter, meaning) in shown.items():
        lines = invoke("list", kind, name).out.splitlines()
        assert meaning in lines[lines.index(parameter) + 1], kind

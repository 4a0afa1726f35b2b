"""What `albench list KIND NAME` says of parameters: what their docstrings say."""

from dataclasses import dataclass

from support.commands import invoke

from albench.benchmark.grid.meaning import meanings


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
    assert meanings(Plain) == {}


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

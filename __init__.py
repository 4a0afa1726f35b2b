"""albench: the benchmark harness for active learning.

In a notebook: ``albench.run(grid)`` and ``albench.load(directory)`` return a `Run`. Nothing heavy is loaded before one
of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark.door.notebook import Run, load, run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .benchmark.door import notebook  # noqa: PLC0415 - pandas and all that a run needs

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return __all__

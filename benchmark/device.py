"""The one place that knows where arrays live: numpy on the CPU, torch tensors on a GPU.

A worker opens `on` around its trials; learners and kernels ask `put`, and rules ask nobody: their arrays are numpy.
"""

from __future__ import annotations

import os
import platform
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .values import Array, UserError

if TYPE_CHECKING:  # seconds to import, for which only those who use it wait
    import torch

RECORDED = 16  # steps from which a recording pays

_active = "cpu"  # of this process: a worker runs one trial at a time
_THERE: dict[tuple[int, str], tuple[weakref.ref[NDArray[Any]], torch.Tensor]] = {}


class DeviceError(UserError):
    """A device that is asked for and not there; ``str()`` is one line."""


def active() -> str:
    """Return ``cpu`` (numpy) or the name of torch's device that this trial computes on."""
    return _active


@contextmanager
def on(name: str) -> Iterator[None]:
    """Compute inside the block on ``cpu`` (numpy), ``cuda``, or ``torch`` (the GPU's code on the CPU, for tests).

    On a GPU only algorithms are taken that give the same bits each time.
    """
    global _active  # noqa: PLW0603 - the device is the process's, as its threads are
    if name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts: its products repeat so
        import torch  # noqa: PLC0415 - see above

        torch.use_deterministic_algorithms(mode=True)
    before, _active = _active, name
    try:
        yield
    finally:
        _active = before


def put(array: NDArray[Any]) -> Array:
    """Return the array where this trial computes. One that is read-only is brought to a GPU once a process.

    It lies there as long as the array lives here.
    """
    name = active()
    if name == "cpu":
        return array
    if array.flags.writeable:
        return _tensor(array, name)
    key = (id(array), name)
    if key not in _THERE:
        gone = weakref.ref(array, lambda _: _THERE.pop(key, None))
        _THERE[key] = (gone, _tensor(array, name))
    return _THERE[key][1]


def take(array: NDArray[Any], rows: NDArray[Any] | slice) -> Array:
    """Return rows of an array where this trial computes; one that is read-only lies there already."""
    return put(array)[rows if isinstance(rows, slice) else put(rows)]


def fetch(array: Array) -> NDArray[Any]:
    """Return an array as numpy on the host; one that is there is not copied."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu().numpy())


def repeat(step: Callable[[], None], times: int) -> None:
    """Run a step of torch's ``times`` times. It changes tensors in place and waits for nothing on the host.

    On a card it is recorded once and played back: to start its kernels one by one would take longer than they do.
    """
    if active() != "cuda" or times < RECORDED:
        for _ in range(times):
            step()
        return
    import torch  # noqa: PLC0415 - see above

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        step()  # what is made at a first call cannot be recorded
    torch.cuda.current_stream().wait_stream(aside)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        step()
    for _ in range(times - 1):
        recorded.replay()


def check(num_gpus: float) -> None:
    """Raise `DeviceError` when a trial asks for a GPU and this machine has none that torch can use."""
    if num_gpus and not _cuda():
        raise DeviceError(
            f"resources: a trial asks for num_gpus: {num_gpus:g}, and torch sees no GPU here; "
            "set num_gpus: 0 (the same code runs on the CPU), or start on a machine with one"
        )


def called() -> str:
    """Return what a row of results calls the device: the card's name, or the kind of processor."""
    if active() == "cuda":
        import torch  # noqa: PLC0415 - see above

        return str(torch.cuda.get_device_name())
    return platform.machine()


def _cuda() -> bool:
    import torch  # noqa: PLC0415 - see above

    return torch.cuda.is_available()


def _tensor(array: NDArray[Any], name: str) -> torch.Tensor:
    import torch  # noqa: PLC0415 - see above

    host = torch.from_numpy(
        np.ascontiguousarray(array) if array.flags.writeable else array.copy()
    )  # torch cannot promise not to write
    return host.to("cpu" if name == "torch" else name)

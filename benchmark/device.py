"""The one place that knows where arrays live: numpy on the CPU, torch tensors on a GPU; and what is used of a card.

A worker opens `on` around its trials; learners and kernels ask `put`, and rules ask nobody: their arrays are numpy.
"""

from __future__ import annotations

import os
import platform
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .values import Array, UserError

if TYPE_CHECKING:  # seconds to import, for which only those who use it wait
    import torch

RECORDED = 16  # steps from which a recording pays

_active = "cpu"  # of this process: a worker runs one trial at a time
_share = 1.0  # of a card that a trial asked for; likewise
_THERE: dict[tuple[int, str], tuple[weakref.ref[NDArray[Any]], torch.Tensor]] = {}


class DeviceError(UserError):
    """A device that is asked for and not there; ``str()`` is one line."""


def active() -> str:
    """Return ``cpu`` (numpy) or the name of torch's device that this trial computes on."""
    return _active


@contextmanager
def on(name: str, share: float = 1.0) -> Iterator[None]:
    """Compute inside the block on ``cpu`` (numpy), ``cuda``, or ``torch`` (the GPU's code on the CPU, for tests).

    On a GPU only algorithms are taken that give the same bits each time. ``share`` says how much of the card is ours.
    """
    global _active, _share
    if name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts: its products repeat so
        import torch  # noqa: PLC0415 - see above

        torch.use_deterministic_algorithms(mode=True)
    before = _active, _share
    _active, _share = name, share
    try:
        yield
    finally:
        _active, _share = before


def put(array: NDArray[Any]) -> Array:
    """Return the array where this trial computes. One that is read-only is brought to a GPU once a process.

    It lies there as long as the array lives here.
    """
    name = active()
    if name == "cpu":
        return array
    if array.flags.writeable:
        return _tensor(array)
    key = (id(array), name)
    if key not in _THERE:
        gone = weakref.ref(array, lambda _: _THERE.pop(key, None))
        _THERE[key] = (gone, _tensor(array))
    return _THERE[key][1]


def take(array: NDArray[Any], rows: NDArray[Any] | slice) -> Array:
    """Return rows of an array where this trial computes; one that is read-only lies there already."""
    return put(array)[rows if isinstance(rows, slice) else put(rows)]


def fetch(array: Array) -> NDArray[Any]:
    """Return an array as numpy on the host; one that is there is not copied."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu().numpy())


def home() -> str:
    """Return what torch calls the place where this trial computes."""
    return "cuda" if _active == "cuda" else "cpu"


def tensor(array: Array) -> torch.Tensor:
    """Return an array as a tensor of torch's where this trial computes: on the CPU too."""
    return _tensor(array) if isinstance(array, np.ndarray) else array


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums depend on how many split them. Its number holds again afterwards."""
    import torch  # noqa: PLC0415 - see above

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def repeat(step: Callable[[], None], times: int) -> None:
    """Run a step of torch's ``times`` times; `recorded` says what it may do."""
    run = step if times < RECORDED else recorded(step)
    for _ in range(times):
        run()


def recorded(step: Callable[[], None]) -> Callable[[], None]:
    """Return what runs a step of torch's. It changes tensors in place and waits for nothing on the host.

    On a card it is recorded when it is run again, and played back from then on: to start its kernels one by one would
    take longer than they do.
    """
    return _Recorded(step) if active() == "cuda" else step


class _Recorded:
    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warm = False

    def __call__(self) -> None:
        import torch  # noqa: PLC0415 - see above

        if not self._warm:
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._step()  # what is made at a first call cannot be recorded
            torch.cuda.current_stream().wait_stream(aside)
            self._warm = True
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._step()
        self._graph.replay()


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


@dataclass(frozen=True)
class Used:
    """What was used of a card: its seconds, its memory at the peak in MiB, and energy in J where the driver tells it.

    Seconds and energy are the share of them that the trial asked for: a quarter of a card is billed for a quarter.
    Memory is what torch has handed out; what it keeps in reserve, and what the driver takes, is not in it.
    """

    seconds: float
    peak_mb: float
    energy_j: float | None


@dataclass(frozen=True)
class Filled:
    """How far a trial filled a card, in MiB: its memory at the peak (`Used`), and all that there is."""

    peak_mb: float
    card_mb: float


def filled(peak_mb: float) -> Filled | None:
    """Return how far this peak fills the card; None on the CPU."""
    if active() != "cuda":
        return None
    import torch  # noqa: PLC0415 - see above

    return Filled(peak_mb, torch.cuda.mem_get_info()[1] / 2**20)


class Meter:
    """Measures what this process uses of its card from here on."""

    def __init__(self) -> None:
        self._energy_j: float | None = None
        if active() == "cuda":
            import torch  # noqa: PLC0415 - see above

            torch.cuda.reset_peak_memory_stats()
            self._energy_j = _energy_j()

    def read(self, seconds: float) -> Used | None:
        """Return what was used in these seconds; None on the CPU."""
        if active() != "cuda":
            return None
        import torch  # noqa: PLC0415 - see above

        now = _energy_j()
        energy = None if now is None or self._energy_j is None else (now - self._energy_j) * _share
        return Used(seconds * _share, torch.cuda.max_memory_allocated() / 2**20, energy)


def _energy_j() -> float | None:
    """Return what the card has used since its driver was loaded; None where NVML, or its library, does not tell."""
    try:
        import pynvml  # noqa: PLC0415 - it need not be installed
    except ImportError:
        return None
    import torch  # noqa: PLC0415 - see above

    try:
        pynvml.nvmlInit()  # a count that goes up, once it is loaded
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(card)) / 1000
    except pynvml.NVMLError:
        return None


def _cuda() -> bool:
    import torch  # noqa: PLC0415 - see above

    return torch.cuda.is_available()


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    import torch  # noqa: PLC0415 - see above

    host = torch.from_numpy(
        np.ascontiguousarray(array) if array.flags.writeable else array.copy()
    )  # torch cannot promise not to write
    return host.to(home())

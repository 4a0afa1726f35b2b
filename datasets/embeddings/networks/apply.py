"""Running a torch module over images: on every core or GPU, with memory for the batches in flight alone."""

from __future__ import annotations

import copy
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ....benchmark.types import Features
from ...reading.base import DataError, Inputs, Split, Step
from ..base import Work

if TYPE_CHECKING:
    import torch

    Prepare = Callable[[torch.Tensor], torch.Tensor]
    Module = TypeVar("Module", bound=torch.nn.Module)

PIXELS = 2**16
"""Pixels of a batch on the CPU, after ``prepare``: larger batches leave the caches (and are not faster)."""

BYTES_PER_PIXEL = 600
"""First guess of what a network takes on a GPU for each pixel that goes in (a ResNet-50 at 224 x 224: 30 MiB)."""

EVERY = 0.3
"""Seconds between two reports of progress."""


def apply(
    module: torch.nn.Module, split: Split, prepare: Prepare, work: Work, *, what: str
) -> tuple[Features, Features]:
    """Return what ``module`` makes of the images: (N, D) for the pool, (M, D) for the test set, float32.

    The arrays are mapped from files in ``work.scratch``. ``module`` maps (B, C, H, W) to (B, D), or to (B, ...) that
    is flattened; it is put into evaluation mode and moved to the device. ``prepare`` gets uint8 (B, channels, H, W)
    on the device and returns the float32 that goes into ``module``, row by row: no row may depend on another.

    On the CPU each core takes batches of a size that only the sizes of the images decide, and runs them with one
    torch thread: the answer is the same bit for bit however many cores there are. With CUDA every visible GPU takes
    batches while the cores decode, in float16 by autocast (a batch that overflows again in float32) and channels-last;
    the batch is halved as long as memory does not suffice. There the last bits do depend on GPU and batch.

    Raises
    ------
    DataError
        When features are NaN or infinite: the image is named by its row. Also what decoding an image raises.
    """
    runners = [_Runner(module if i == 0 else copy.deepcopy(module), d, prepare) for i, d in enumerate(_devices())]
    width, batch = runners[0].measure(split.train[:1])
    parts: dict[str, Inputs] = {"train": split.train, "test": split.test}
    out = {name: work.array(name, (len(x), width)) for name, x in parts.items()}
    jobs = [(name, slice(a, min(a + batch, len(x)))) for name, x in parts.items() for a in range(0, len(x), batch)]

    def run(number: int) -> int:
        name, rows = jobs[number]
        features = runners[number % len(runners)](parts[name][rows])
        _check_finite(features, f"{what}: {name} image", rows.start)
        out[name][rows] = features
        return len(features)

    progress = _Progress(work, what, sum(map(len, parts.values())))
    with _one_torch_thread_each(cores()) as pool:
        for n in pool.map(run, range(len(jobs))):  # after an error or Ctrl-C it cancels what has not begun
            progress.add(n)
    return out["train"], out["test"]


def image_problems(split: Split, name: str) -> list[str]:
    """Return why an encoder of images, of this name, cannot take these inputs, or nothing."""
    return [] if split.kind == "images" else [f"{name} is for images, not for {split.kind}"]


def seeded(build: Callable[[], Module], rng: np.random.Generator) -> Module:
    """Return a module with weights drawn from ``rng`` alone; torch's global generator is neither read nor moved.

    Weights of convolutions and linear layers are normal with variance 2 / fan-in (He et al. 2015, equation 10),
    scales 1, biases 0, running statistics fresh. A module with other parameters or buffers is a TypeError.
    """
    import torch  # noqa: PLC0415  heavy

    with torch.device("meta"):  # shapes only: nothing is drawn
        module = build()
    module.to_empty(device="cpu")
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.modules.batchnorm._NormBase):  # the base of all that keep running statistics
            layer.reset_running_stats()
        elif any(True for _ in layer.buffers(recurse=False)):
            raise TypeError(f"{name}: no rule for the buffers of a {type(layer).__name__}")
        for kind, parameter in layer.named_parameters(recurse=False):
            _fill(parameter, f"{name}.{kind}", kind, rng)
    return module


def _fill(parameter: torch.Tensor, name: str, kind: str, rng: np.random.Generator) -> None:
    import torch  # noqa: PLC0415  heavy

    shape = tuple(parameter.shape)
    if kind == "bias":
        values = np.zeros(shape, np.float32)
    elif kind == "weight" and len(shape) == 1:
        values = np.ones(shape, np.float32)
    elif kind == "weight":
        values = rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    else:
        raise TypeError(f"{name}: no rule for this parameter")
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Runner:
    """A module on one device. Several threads may call it; on a GPU they take turns."""

    def __init__(self, module: torch.nn.Module, device: torch.device, prepare: Prepare) -> None:
        import torch  # noqa: PLC0415  heavy

        self._device, self._prepare = device, prepare
        self._cuda = device.type == "cuda"
        self._layout = torch.channels_last if self._cuda else torch.contiguous_format
        self._module = module.eval().to(device)
        if self._cuda:
            self._module.to(memory_format=torch.channels_last)
        self._turn = threading.Lock() if self._cuda else nullcontext()
        self._most: int | None = None  # images at a time, once more did not fit into memory

    def measure(self, image: NDArray[np.uint8]) -> tuple[int, int]:
        """Return D, and how many images go into a batch, from one image (1, H, W, channels)."""
        import torch  # noqa: PLC0415  heavy

        pixels = max(math.prod(image.shape[1:3]), math.prod(self._ready(image).shape[2:]))
        if self._cuda:
            free = torch.cuda.mem_get_info(self._device)[0]
            batch = min(512, 2 ** int(math.log2(max(1, free / BYTES_PER_PIXEL / pixels))))
        else:
            batch = min(256, max(8, PIXELS // pixels))
        return self(image).shape[1], batch

    def __call__(self, images: NDArray[np.uint8]) -> Features:
        """Return the features (B, D) of images (B, H, W, channels)."""
        import torch  # noqa: PLC0415  heavy

        with self._turn, torch.inference_mode():
            while True:
                try:
                    most = self._most or len(images)
                    chunks = [images[a : a + most] for a in range(0, len(images), most)]
                    return np.concatenate([self._features(chunk) for chunk in chunks])
                except torch.OutOfMemoryError:
                    self._most = (self._most or len(images)) // 2
                    if self._most == 0:
                        raise
                    torch.cuda.empty_cache()

    def _features(self, images: NDArray[np.uint8]) -> Features:
        import torch  # noqa: PLC0415  heavy

        ready = self._ready(images).contiguous(memory_format=self._layout)
        with torch.autocast(self._device.type, torch.float16, enabled=self._cuda):
            features = self._module(ready)
        if self._cuda and not features.isfinite().all():
            features = self._module(ready)
        answer: Features = features.flatten(1).float().cpu().numpy()
        return answer

    def _ready(self, images: NDArray[np.uint8]) -> torch.Tensor:
        import torch  # noqa: PLC0415  heavy

        return self._prepare(torch.tensor(images, device=self._device).permute(0, 3, 1, 2))


def _devices() -> list[torch.device]:
    import torch  # noqa: PLC0415  heavy

    gpus = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return gpus or [torch.device("cpu")]


@contextmanager
def _one_torch_thread_each(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads that run torch on one core each; the number that torch was set to holds again afterwards."""
    import torch  # noqa: PLC0415  heavy

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def _check_finite(features: Features, what: str, start: int) -> None:
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise DataError([f"{what} {start + bad.argmax()}: its features are NaN or infinite"])


class _Progress:
    """Tells how far it is, how fast, and for how long, a few times a second at most."""

    def __init__(self, work: Work, what: str, total: int) -> None:
        self._work, self._what, self._total = work, what, total
        self._done, self._start, self._last = 0, time.perf_counter(), -math.inf

    def add(self, n: int) -> None:
        self._done += n
        now = time.perf_counter()
        if now - self._last >= EVERY or self._done == self._total:
            self._last = now
            speed = self._done / max(now - self._start, 1e-9)
            note = f"{speed:,.0f} images/s, {(self._total - self._done) / speed:,.0f} s left"
            self._work.report(Step(self._what, self._done, self._total, "images", note))

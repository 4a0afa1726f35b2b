"""SimCLR's training: two views of each image, the loss that tells them from all others, checkpoints to go on from."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from ....benchmark.types import Labels, Rows
from ...reading.base import DataError, Inputs, Report, Split, Step
from ...reading.plain import whole
from ..base import Work
from . import processes
from .apply import seeded
from .augment import Views
from .checkpoint import NAME, digest
from .together import Share

HELD = 2**31
"""Images of up to so many bytes are decoded once and kept in memory; more are decoded anew in each epoch."""

CHECKPOINT = 20.0
"""Seconds of training between two checkpoints. They are written where an epoch ends, and always after the last."""

EVERY = 0.5
"""Seconds between two reports within an epoch."""

WARM_UP = 0.1
"""Share of all steps in which the rate of `warm` rises."""

LOWEST = 0.1**3
"""What `falling` would reach after the last epoch."""

NEIGHBOURS, SHOWN = 5, 5000
"""The accuracy that is shown: by so many neighbours, on so many images of the pool, every fifth of them held out."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: at most ``batch`` images (with two views each) a step, ``lr`` at its highest.

    Each of ``processes`` takes a share of every batch, on a GPU of its own or on ``threads`` of the CPU.
    """

    epochs: int
    batch: int
    lr: float
    temperature: float
    weight_decay: float
    threads: int
    method: Method
    processes: int = 1


@dataclass(frozen=True)
class Method:
    """What the two views are drawn by, what they are judged by (projections, temperature), and how the rate moves.

    ``rate`` has the highest rate as 1 and is a function of the epochs that are over, a fraction, and of all epochs.
    """

    views: Views
    loss: Callable[[torch.Tensor, float], torch.Tensor]
    rate: Callable[[float, int], float]


@dataclass(frozen=True)
class Epoch:
    """A point of the training curve: mean loss, accuracy on held-out images of the pool, seconds since the start."""

    epoch: int
    loss: float
    knn_accuracy: float
    seconds: float


class Pair(nn.Sequential):
    """The network that is wanted and the projection head that is dropped after training."""

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.head = head


def trained(
    build: Callable[[], Pair], split: Split, schedule: Schedule, rng: np.random.Generator, work: Work
) -> nn.Module:
    """Return the network after the last epoch.

    What ``work.kept`` holds of an earlier attempt is gone on from; a whole training is not done again. Each epoch
    draws from a generator of its own, so the weights are those of a training that was never stopped: bit for bit with
    the same number of threads and processes on the same kind of CPU (CUDA adds in an order of its own).
    """
    before = copy.deepcopy(rng)
    training = Training(build, split, schedule, rng)
    training.resume(work.kept)
    if schedule.processes == 1 or training.epoch == schedule.epochs:
        training.finish(work)
        return training.pair.network
    _check_processes(schedule, len(split.train))
    images = _on_disk(training.images, work)
    bare = replace(split, train=split.train[:0], test=split.test[:0]) if images else split  # what is sent is small
    share = partial(_share, build, bare, images, schedule, before, work.scratch, work.kept)
    processes.run(share, schedule.processes, work.scratch / "meeting", work.report, "simclr")
    training.resume(work.kept)
    return training.pair.network


def _share(
    build: Callable[[], Pair],
    split: Split,
    images: Path | None,
    schedule: Schedule,
    rng: np.random.Generator,
    scratch: Path,
    kept: Path,
    share: Share,
    report: Report,
) -> None:
    """What one of several processes does of the training, on ``images`` where they lie in a file, mapped by all."""
    if images is not None:
        split = replace(split, train=np.load(images, mmap_mode="r", allow_pickle=False))
    training = Training(build, split, schedule, rng, share)
    training.resume(kept)
    training.finish(Work(scratch, kept, report))


def _check_processes(schedule: Schedule, images: int) -> None:
    """Raise `DataError` when there are not so many GPUs, on a machine that has any, or images in a batch."""
    asked, cards = schedule.processes, torch.cuda.device_count()
    smallest = images // math.ceil(images / schedule.batch)
    if 0 < cards < asked:
        raise DataError([f"simclr: processes is {asked}, and torch sees {cards} GPU(s) here; each process takes one"])
    if smallest < asked:
        raise DataError([f"simclr: processes is {asked}, and a batch has {smallest} images; each process takes one"])


def _on_disk(images: Inputs, work: Work) -> Path | None:
    """Write images that are in memory to a file, that the processes of a machine share them; return where it lies."""
    if not isinstance(images, np.ndarray):
        return None
    there = work.array("images", images.shape, np.uint8)
    there[:] = images
    return work.scratch / "images.npy"


class Training:
    """Networks, optimiser and curve after ``epoch`` epochs; of a batch the part that is our ``share``."""

    def __init__(
        self,
        build: Callable[[], Pair],
        split: Split,
        schedule: Schedule,
        rng: np.random.Generator,
        share: Share = Share(),  # noqa: B008  it is frozen
    ) -> None:
        weights, shown, epochs = rng.spawn(3)
        self._share = share
        self._schedule, self._method, self._labels = schedule, schedule.method, split.train_labels
        self.images = split.train[:] if math.prod(split.train.shape) <= HELD else split.train
        self._seeds = epochs.integers(2**63, size=schedule.epochs)
        self._shown = np.sort(shown.permutation(len(self.images))[:SHOWN])
        self._cuda = torch.cuda.is_available()
        self._device = torch.device("cuda" if self._cuda else "cpu")
        self._layout = torch.channels_last if self._cuda else torch.contiguous_format
        self.pair = seeded(build, weights).to(self._device)
        self.pair.to(memory_format=self._layout)
        self._joined = share.joined(self.pair, self._device)
        self._optimiser = torch.optim.SGD(
            self.pair.parameters(), lr=schedule.lr, momentum=0.9, weight_decay=schedule.weight_decay
        )
        self.curve: list[Epoch] = []

    @property
    def epoch(self) -> int:
        return len(self.curve)

    def finish(self, work: Work) -> None:
        """Train what is left, and keep it; of several processes the first does that."""
        with _threads(self._schedule.threads):
            saved = time.perf_counter()
            while self.epoch < self._schedule.epochs:
                self.next_epoch(work)
                over = self.epoch == self._schedule.epochs or time.perf_counter() - saved >= CHECKPOINT
                if over and self._share.rank == 0:
                    self.save(work.kept)
                    saved = time.perf_counter()

    def next_epoch(self, work: Work) -> None:
        """Take every image of the pool once, in batches of equal size (to within one)."""
        started = reported = time.perf_counter()
        generator = torch.Generator().manual_seed(int(self._seeds[self.epoch]))
        order = torch.randperm(len(self.images), generator=generator).numpy()
        batches = [np.sort(rows) for rows in np.array_split(order, math.ceil(len(order) / self._schedule.batch))]
        ours = [rows[self._share.rows(len(rows))] for rows in batches]
        total = torch.zeros((), device=self._device)
        self.pair.train()
        for i, images in enumerate(_read_ahead(self.images, ours)):
            size = len(batches[i])
            total += size * self._step(images, size, generator, self.epoch + (i + 0.5) / len(batches))
            if time.perf_counter() - reported >= EVERY:
                reported = time.perf_counter()
                self._report(work, f"{(i + 1) / len(batches):.0%} of epoch {self.epoch + 1}")
        loss = total.item() / len(order)
        if not math.isfinite(loss):
            raise DataError([f"simclr: the loss is {loss} in epoch {self.epoch + 1}; try a lower lr"])
        seconds = time.perf_counter() - started + (self.curve[-1].seconds if self.curve else 0.0)
        self.curve.append(Epoch(self.epoch + 1, loss, self._accuracy(), seconds))
        self._report(work)

    def _step(self, images: NDArray[np.uint8], size: int, generator: torch.Generator, epochs: float) -> torch.Tensor:
        """Learn from a batch of ``size`` images, of which these are ours; return its loss."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._schedule.lr * self._method.rate(epochs, self._schedule.epochs)

        def draw(numbers: int) -> torch.Tensor:
            return torch.rand((size, numbers), generator=generator)[self._share.rows(size)]

        inputs = self._inputs(images)
        both = torch.cat([self._method.views(inputs, draw), self._method.views(inputs, draw)])
        projections = self._share.whole(self._forward(self._joined, both), size)
        loss = self._method.loss(projections, self._schedule.temperature)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimiser.step()
        return loss.detach()

    def _inputs(self, images: NDArray[np.uint8]) -> torch.Tensor:
        return scaled(torch.tensor(images).to(self._device).permute(0, 3, 1, 2))

    def _forward(self, module: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Return float32; what is multiplied is bfloat16 on GPUs that have it."""
        fast = self._cuda and torch.cuda.get_device_capability() >= (8, 0)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=fast):
            answer: torch.Tensor = module(images.contiguous(memory_format=self._layout))
        return answer.float()

    def _accuracy(self) -> float:
        self.pair.eval()
        with torch.inference_mode():
            parts = np.array_split(self._shown, math.ceil(len(self._shown) / 500))
            features = [self._forward(self.pair.network, self._inputs(self.images[rows])) for rows in parts]
            return knn_accuracy(torch.cat(features).cpu(), self._labels[self._shown])

    def _report(self, work: Work, now: str = "") -> None:
        notes = [now] if now else []
        if self.curve:
            last = self.curve[-1]
            notes = [f"loss {last.loss:.2f}", f"{NEIGHBOURS}-NN {last.knn_accuracy:.1%}", *notes]
        work.report(Step("simclr", self.epoch, self._schedule.epochs, "epochs", ", ".join(notes)))

    def save(self, kept: Path) -> None:
        """Write what `resume` reads, and the curve beside it, each whole or not at all."""
        tensors = {f"pair.{name}": tensor.contiguous() for name, tensor in self.pair.state_dict().items()}
        for name, parameter in self.pair.named_parameters():
            tensors[f"momentum.{name}"] = self._optimiser.state[parameter]["momentum_buffer"].contiguous()
        points = [asdict(point) for point in self.curve]
        table = io.StringIO()
        writer = csv.DictWriter(table, list(points[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(points)
        facts = {"curve": json.dumps(points), "sha256": _digest(tensors)}
        _write(kept / NAME, safetensors.torch.save(tensors, facts))
        _write(kept / "curve.csv", table.getvalue().encode())

    def resume(self, kept: Path) -> None:
        """Go on from what `save` wrote, if it did."""
        path = kept / NAME
        if not path.exists():
            return
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
                facts = file.metadata()
            if facts["sha256"] != _digest(tensors):
                raise ValueError("its bytes are not those that were written")  # noqa: TRY301  as from the calls beside
            curve = [Epoch(**point) for point in json.loads(facts["curve"])]
            pair = {name.removeprefix("pair."): x for name, x in tensors.items() if name.startswith("pair.")}
            self.pair.load_state_dict(pair)
            for name, parameter in self.pair.named_parameters():
                self._optimiser.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"].to(parameter)
        except (safetensors.SafetensorError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError([f"{path}: no checkpoint of this training ({reason}); remove it to train anew"]) from error
        self.curve = curve


def nt_xent(projections: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean loss over all 2B rows (2B, dims); rows i and i + B are views of one image (equation 1)."""
    similar = _similar(projections, temperature)
    return cross_entropy(similar, torch.arange(len(similar), device=similar.device).roll(len(similar) // 2))


def one_way(projections: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean loss of the first B rows alone, each told from the 2B - 1 others: SCAN's."""
    images = len(projections) // 2
    similar = _similar(projections, temperature)[:images]
    return cross_entropy(similar, torch.arange(images, device=similar.device) + images)


def _similar(projections: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return cosines over ``temperature`` (2B, 2B), of a row with itself minus infinity."""
    z = normalize(projections)
    return (z @ z.T / temperature).fill_diagonal_(-math.inf)


def warm(epochs: float, of: int) -> float:
    """Return the rate that rises for a tenth of the training, linearly, and then falls to 0 as half a cosine."""
    share = epochs / of
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def falling(epochs: float, of: int) -> float:
    """Return SCAN's rate, which falls from epoch to epoch as half a cosine to 0.1 cubed."""
    return LOWEST + (1 - LOWEST) * (1 + math.cos(math.pi * math.floor(epochs) / of)) / 2


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Bring uint8 to [0, 1]; the first batch normalisation does the rest."""
    return images.float() / 255


def knn_accuracy(features: torch.Tensor, labels: Labels) -> float:
    """Return the share of every fifth row (M, D) whose class is that of most of its nearest other rows, by cosine.

    Of classes with equally many neighbours the first counts. NaN when there are fewer than two rows.
    """
    if len(features) < 2:
        return math.nan
    held_out = np.arange(len(features)) % 5 == 0
    z = normalize(features)
    nearest = (z[held_out] @ z[~held_out].T).topk(min(NEIGHBOURS, int((~held_out).sum()))).indices.numpy()
    votes = np.apply_along_axis(np.bincount, 1, labels[~held_out][nearest], minlength=labels.max() + 1)
    return float((votes.argmax(axis=1) == labels[held_out]).mean())


def _read_ahead(images: Inputs, batches: Sequence[Rows]) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of each batch, the next of them read (decoded) meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(images.__getitem__, batches[0])
        for rows in [*batches[1:], None]:
            current = coming.result()
            if rows is not None:
                coming = reader.submit(images.__getitem__, rows)
            yield current


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    return digest({name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()})


def _write(path: Path, content: bytes) -> None:
    try:
        with whole(path, lasting=True) as file:
            file.write(content)
    except OSError as error:
        raise DataError([f"{path}: cannot be written ({error.strerror or error})"]) from error


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""SimCLR trained by several processes: what one would train, whatever happens to one of them."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from support import fallen
from support.embeddings import rng, split_of

from albench.benchmark.types import Features
from albench.datasets.embeddings.base import StorageError, Work
from albench.datasets.embeddings.networks import processes
from albench.datasets.embeddings.networks import training as simclr_training
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.reading.base import DataError, Report, Split, Step, parameters, silent

TINY = Simclr(epochs=2, batch=16, width=4, projection=8)


def some_split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (45, 8, 8, 1), dtype=np.uint8)
    return split_of(images, images[:12], "images")


def encode(simclr: Simclr, folder: Path, report: Report = silent) -> Features:
    return np.array(simclr.encode(some_split(), rng(), Work(folder / "scratch", folder / "kept", report))[0])


def losses(folder: Path) -> list[float]:
    rows = (folder / "kept" / "curve.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [float(row.split(",")[1]) for row in rows]


def children() -> list[psutil.Process]:
    """Return those that compute; beside them multiprocessing starts one that cleans up after them."""
    return [child for child in psutil.Process().children() if "spawn_main" in "".join(child.cmdline())]


@pytest.mark.parametrize(("number", "more"), [(2, {}), (3, {"recipe": "scan", "network": "small", "lr": 0.1})])
def test_they_train_what_one_trains(number: int, more: dict[str, Any], tmp_path: Path) -> None:
    """Batches of 15 on 2, whose shares differ; and on 3, the second half of what one process had begun."""
    one = dataclasses.replace(TINY, **more)
    several = dataclasses.replace(one, processes=number)
    alone = encode(one, tmp_path / "one")
    told = list[Step]()
    if number == 3:
        half(one, tmp_path / "several")
    together = encode(several, tmp_path / "several", told.append)
    assert np.allclose(together, alone, atol=1e-5 * abs(alone).max())
    assert np.allclose(losses(tmp_path / "several"), losses(tmp_path / "one"), rtol=1e-5)
    epochs = [step.done for step in told if step.unit == "epochs" and "of epoch" not in step.note]
    assert epochs == ([1, 2] if number == 2 else [2])
    assert not children()


def half(simclr: Simclr, folder: Path) -> None:
    """Train and keep one epoch of the two, by one process."""
    save = simclr_training.Training.save

    def save_and_stop(training: simclr_training.Training, kept: Path) -> None:
        save(training, kept)
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simclr_training, "CHECKPOINT", 0)
        patch.setattr(simclr_training.Training, "save", save_and_stop)
        with pytest.raises(InterruptedError):
            encode(simclr, folder)


def test_what_one_of_them_finds_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^simclr: the loss is nan in epoch 1; try a lower lr$"):
        encode(dataclasses.replace(TINY, lr=1e38, epochs=1, processes=2), tmp_path)
    assert not children()


def test_one_that_is_killed_ends_all(tmp_path: Path) -> None:
    killed: list[psutil.Process] = []

    def kill(step: Step) -> None:
        if not killed:
            killed.append(max(children(), key=lambda child: (child.create_time(), child.pid)))
            killed[0].kill()

    with pytest.raises(DataError, match=r"^simclr: process 2 of 2 ended: signal SIGKILL$"):
        encode(dataclasses.replace(TINY, epochs=100_000, processes=2), tmp_path, kill)
    assert not children()


@pytest.mark.parametrize(
    ("task", "word"),
    [(fallen.raises, "ValueError: too wide"), (fallen.leaves, "exit code 3")],
    ids=["raises", "leaves"],
)
def test_what_one_says_that_falls(task: processes.Task, word: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()  # where they would meet, were the name an address
    with pytest.raises(DataError, match=rf"^made: process 2 of 2 ended: {word}$"):
        processes.run(task, 2, tmp_path / "a#b", silent, "made")
    assert not children()


def test_images_are_sent_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def watched(task: processes.Task, number: int, meeting: Path, *rest: Any) -> None:
        sent.append(len(pickle.dumps(task)))
        raise InterruptedError

    monkeypatch.setattr(processes, "run", watched)
    images = np.zeros((300, 32, 32, 3), np.uint8)
    work = Work(tmp_path / "scratch", tmp_path / "kept")
    with pytest.raises(InterruptedError):
        dataclasses.replace(TINY, processes=2).encode(split_of(images, images[:1], "images"), rng(), work)
    assert sent[0] < 20_000


def test_one_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(process: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", full)
    with pytest.raises(DataError, match=r"process 1 of 2 cannot be started \(Resource temporarily unavailable\)"):
        encode(dataclasses.replace(TINY, processes=2), tmp_path)


def test_a_disk_without_room_for_the_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(StorageError, match=r"images\.npy: cannot be written \(File exists\)"):
        encode(dataclasses.replace(TINY, processes=2), tmp_path)


def test_an_interruption_ends_all(tmp_path: Path) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(dataclasses.replace(TINY, epochs=100_000, processes=2), tmp_path, interrupt)
    assert not children()


def test_more_than_there_are_images_or_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="processes is 4, and a batch has 3 images; each process takes one"):
        encode(dataclasses.replace(TINY, batch=3, processes=4), tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DataError, match=r"processes is 2, and torch sees 1 GPU\(s\) here"):
        encode(dataclasses.replace(TINY, processes=2), tmp_path)


def test_their_number_is_part_of_no_identity_of_before() -> None:
    assert "processes" not in parameters(TINY)
    assert parameters(dataclasses.replace(TINY, processes=2))["processes"] == 2

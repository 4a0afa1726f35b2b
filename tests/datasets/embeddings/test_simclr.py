from __future__ import annotations

import csv
import dataclasses
import math
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from support.embeddings import rng, split_of

from albench.benchmark.types import Features, Rows
from albench.datasets.digits import Digits
from albench.datasets.embeddings.base import Work
from albench.datasets.embeddings.networks import augment, backbones
from albench.datasets.embeddings.networks import training as simclr_training
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.reading.base import DataError, Images, Split, Step

TINY = Simclr(epochs=4, batch=16, width=4, projection=8)
OWN = simclr_training.Method(augment.affine, simclr_training.nt_xent, simclr_training.warm)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def draws_of(images: int) -> augment.Draw:
    source = generator()
    return lambda numbers: torch.rand((images, numbers), generator=source)


def some_images(n: int = 40, side: int = 8, channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def some_split() -> Split:
    return split_of(some_images(), some_images(12, seed=1), "images")


def encode(
    simclr: Simclr, split: Split, folder: Path, report: Callable[[Step], None] = lambda step: None
) -> tuple[Features, Features]:
    train, test = simclr.encode(split, rng(), Work(folder / "scratch", folder / "kept", report))
    return np.array(train), np.array(test)


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "kept" / "curve.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- the loss and the schedule


@given(st.integers(1, 6), st.integers(1, 5), st.floats(0.05, 4), st.integers(0, 99))
def test_the_loss_is_equation_1_over_all_pairs(n: int, dims: int, temperature: float, seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=(2 * n, dims))

    def similar(i: int, j: int) -> float:
        return float(z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) / temperature)

    def pair(i: int, j: int) -> float:
        return -math.log(math.exp(similar(i, j)) / sum(math.exp(similar(i, k)) for k in range(2 * n) if k != i))

    expected = sum(pair(k, k + n) + pair(k + n, k) for k in range(n)) / (2 * n)
    assert math.isclose(
        simclr_training.nt_xent(torch.tensor(z), temperature).item(), expected, rel_tol=1e-9, abs_tol=1e-9
    )


def test_the_rate_rises_and_falls() -> None:
    rates = [simclr_training.warm(share, 1) for share in np.linspace(0, 1, 101)]
    assert (rates[0], rates[10], round(rates[55], 9), rates[100]) == (0, 1, 0.5, 0)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


@given(st.integers(2, 40), st.integers(0, 99))
def test_the_accuracy_that_is_shown(n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    features, labels = draw.normal(size=(n, 3)), draw.integers(0, 3, n)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    others = [i for i in range(n) if i % 5]
    hits = []
    for i in range(0, n, 5):
        nearest = sorted(others, key=lambda j: -float(unit[i] @ unit[j]))[:5]
        votes = [labels[nearest].tolist().count(c) for c in range(3)]
        hits.append(votes.index(max(votes)) == labels[i])
    assert math.isclose(simclr_training.knn_accuracy(torch.tensor(features), labels), np.mean(hits))


# --- the views


def sampled(images: torch.Tensor, matrices: NDArray[np.float64], outside: str) -> NDArray[np.float64]:
    """Sample each image through its (2, 3) map of (x, y, 1), coordinates from -1 to 1, with scipy."""
    out = np.empty(images.shape)
    side = images.shape[-1]
    for i, matrix in enumerate(matrices):
        turn = matrix[::-1, [1, 0]]  # scipy's axes are (y, x)
        middle = (side - 1) / 2
        offset = middle - turn @ [middle, middle] + matrix[::-1, 2] * side / 2
        for c in range(images.shape[1]):
            out[i, c] = affine_transform(images[i, c].double().numpy(), turn, offset, order=1, mode=outside)
    return out


def test_affine_views_turn_shear_scale_and_move() -> None:
    images = torch.tensor(some_images(50, 9)).permute(0, 3, 1, 2) / 255
    draws = (2 * torch.rand((50, 6), generator=generator()).double().numpy() - 1) * augment.LIMITS
    matrices = []
    for angle, shear, wide, high, dx, dy in draws:
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        linear = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(np.exp([wide, high]))
        matrices.append(np.column_stack([linear, [dx, dy]]))
    views = augment.affine(images, draws_of(50))
    assert np.allclose(views, sampled(images, np.array(matrices), "grid-constant"), atol=1e-5)


@pytest.mark.parametrize("smallest", [0.08, 0.2])
def test_crops_are_parts_and_half_of_them_are_mirrored(smallest: float) -> None:
    images = torch.tensor(some_images(200, 9, 3)).permute(0, 3, 1, 2) / 255
    area, ratio, x, y, mirror = torch.rand((200, 5), generator=generator()).double().numpy().T
    area, ratio = smallest + (1 - smallest) * area, (4 / 3) ** (2 * ratio - 1)
    wide, high = np.minimum(1, np.sqrt(area * ratio)), np.minimum(1, np.sqrt(area / ratio))
    left, top = x * (1 - wide), y * (1 - high)  # in shares of the image
    matrices = np.zeros((200, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 2] = np.where(mirror < 0.5, wide, -wide), 2 * left + wide - 1
    matrices[:, 1, 1], matrices[:, 1, 2] = high, 2 * top + high - 1
    views = augment.crop(images, draws_of(200), smallest)
    assert np.allclose(views, sampled(images, matrices, "nearest"), atol=1e-5)
    assert 70 < (mirror < 0.5).sum() < 130


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_colours_are_distorted_one_after_the_other_in_any_order(order: tuple[int, ...]) -> None:
    images = torch.tensor(some_images(100, 4, 3)).permute(0, 3, 1, 2) / 255
    draws = torch.rand((100, 6), generator=generator()).double().numpy()
    to_yiq = np.array(augment.TO_YIQ)
    expected = images.double().numpy()
    for i, (*jitter, jittered, grey) in enumerate(draws):
        amounts = (2 * np.array(jitter) - 1) * (jittered < 0.8)
        brightness, contrast, saturation = 1 + 0.4 * amounts[:3]
        angle = 2 * math.pi * 0.1 * amounts[3]
        turn = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])

        def luma(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.tensordot(to_yiq[0], x, 1)

        steps: list[Callable[[NDArray[np.float64]], NDArray[np.float64]]] = [
            lambda x, a=brightness: a * x,  # type: ignore[misc]  # mypy cannot type a default in a lambda
            lambda x, a=contrast: a * x + (1 - a) * luma(x).mean(),  # type: ignore[misc]  # the same
            lambda x, a=saturation: a * x + (1 - a) * luma(x),  # type: ignore[misc]  # the same
            lambda x, t=turn: np.tensordot(np.linalg.inv(to_yiq) @ t @ to_yiq, x, 1),  # type: ignore[misc]  # the same
        ]
        for step in order:
            expected[i] = steps[step](expected[i])
        if grey < 0.2:
            expected[i] = luma(expected[i])
    views = augment.colour(images, draws_of(100))
    assert np.allclose(views, expected.clip(0, 1), atol=1e-5)


def test_grey_images_change_in_brightness_and_contrast_alone() -> None:
    flat = torch.linspace(0.1, 0.6, 5)[:, None, None, None].expand(5, 1, 6, 6)
    views = augment.photo(flat, draws_of(5))
    assert views.shape == flat.shape
    assert torch.allclose(views.amin(dim=(2, 3)), views.amax(dim=(2, 3)), atol=1e-6)  # no dark edges
    assert not torch.allclose(views[:, 0, 0, 0], flat[:, 0, 0, 0])


# --- the networks


@pytest.mark.parametrize(("side", "left"), [(5, 1), (8, 1), (9, 2), (16, 2), (28, 4), (31, 4)])
def test_the_small_network_halves_three_times(side: int, left: int) -> None:
    network = backbones.small(1, side, 4)
    images = torch.zeros(2, 1, side, side)
    assert network[:-2](images).shape == (2, 32, left, left)
    assert network(images).shape == (2, 32)


def test_resnet18_is_that_for_small_images() -> None:
    with torch.device("meta"):
        network = backbones.resnet18(3)
    assert isinstance(network.conv1, torch.nn.Conv2d)
    assert network.conv1.stride == (1, 1)
    assert isinstance(network.maxpool, torch.nn.Identity)
    assert sum(p.numel() for p in network.parameters()) == 11_168_832  # of the paper, its first layer 3x3, no last one


def test_large_images_go_through_resnet18(tmp_path: Path) -> None:
    split = split_of(some_images(4, 32, 3), some_images(2, 32, 3, seed=1), "images")
    train, test = encode(dataclasses.replace(TINY, epochs=1), split, tmp_path)
    assert (train.shape, test.shape) == ((4, 512), (2, 512))


# --- the training


def test_it_learns_what_is_alike(tmp_path: Path) -> None:
    digits = Digits().load(0)
    split = dataclasses.replace(digits, train=digits.train[:500], train_labels=digits.train_labels[:500])
    encode(Simclr(epochs=3, batch=32, width=8), split, tmp_path)
    rows = curve(tmp_path)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    losses, seconds = ([float(row[name]) for row in rows] for name in ("loss", "seconds"))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < math.log(2 * 32 - 1) - 0.2  # what a network that sees no difference has
    assert seconds == sorted(seconds)
    assert float(rows[-1]["knn_accuracy"]) > 0.7


def test_the_same_generator_gives_the_same_features_and_labels_have_no_part(tmp_path: Path) -> None:
    split, before, threads = some_split(), torch.get_rng_state(), torch.get_num_threads()
    first = encode(TINY, split, tmp_path / "1")
    relabelled = dataclasses.replace(split, train_labels=split.train_labels[::-1].copy())
    changed_test = dataclasses.replace(relabelled, test=split.test[:][::-1].copy())
    second = encode(TINY, changed_test, tmp_path / "2")
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1][::-1])
    assert first[0].shape == (40, 32)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_training_that_was_stopped_goes_on(epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = some_split()
    seen: list[Step] = []
    whole = encode(TINY, split, tmp_path / "whole")
    monkeypatch.setattr(simclr_training, "CHECKPOINT", 0)
    monkeypatch.setattr(simclr_training, "EVERY", 0)

    def stop(step: Step) -> None:
        if step.done == epoch and "67% of epoch" in step.note:  # 2 of 3 batches
            raise StoppedError

    with pytest.raises(StoppedError):
        encode(TINY, split, tmp_path / "parts", stop)
    again = encode(TINY, split, tmp_path / "parts", seen.append)
    assert np.array_equal(again[0], whole[0])
    assert np.array_equal(again[1], whole[1])
    assert min(step.done for step in seen if step.unit == "epochs") == epoch
    for one, other in zip(curve(tmp_path / "whole"), curve(tmp_path / "parts"), strict=True):
        assert one | {"seconds": ""} == other | {"seconds": ""}


def test_what_is_trained_is_not_trained_again_for_other_labels(tmp_path: Path) -> None:
    split = some_split()
    seen: list[Step] = []
    first = encode(TINY, split, tmp_path)
    noisy = dataclasses.replace(split, train_labels=1 - split.train_labels)
    second = encode(TINY, noisy, tmp_path, seen.append)
    assert np.array_equal(first[0], second[0])
    assert {step.unit for step in seen} == {"images"}


class Lazy:
    """Images that are there when asked for."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._images, self.most = images, 0
        self.shape = images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        if not isinstance(rows, slice):
            assert (np.diff(rows) > 0).all()
        answer = self._images[rows]
        self.most = max(self.most, len(answer))
        return answer

    def digest(self) -> str:
        return "0"


def test_images_that_are_too_many_are_read_by_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = some_split()
    simclr = dataclasses.replace(TINY, epochs=2)
    whole = encode(simclr, split, tmp_path / "1")
    monkeypatch.setattr(simclr_training, "HELD", 0)
    monkeypatch.setattr(simclr_training, "SHOWN", 20)
    lazy = Lazy(split.train[:])
    assert isinstance(lazy, Images)
    training = simclr_training.Training(
        lambda: simclr_training.Pair(backbones.small(1, 8, 4), backbones.head(32, 8)),
        dataclasses.replace(split, train=lazy),
        simclr_training.Schedule(2, 16, simclr.lr, simclr.temperature, simclr.weight_decay, 1, OWN),
        rng(),
    )
    for _ in range(2):
        training.next_epoch(Work(tmp_path, tmp_path))
    assert lazy.most == 20  # those of the accuracy; 14 a batch
    features = training.pair.network.eval()(simclr_training.scaled(torch.tensor(split.train[:]).permute(0, 3, 1, 2)))
    assert np.allclose(features.detach().numpy(), whole[0], atol=1e-5)


# --- what can go wrong


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    split, path = some_split(), tmp_path / "kept" / "checkpoint.safetensors"
    encode(TINY, split, tmp_path)
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in (whole[:-1], b"", flipped, whole.replace(b"momentum.network", b"momentum.notework")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"checkpoint\.safetensors: no checkpoint .*remove it to train anew"):
            encode(TINY, split, tmp_path)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="no checkpoint of this training"):
        encode(dataclasses.replace(TINY, width=5), split, tmp_path)


def test_what_is_trained_by_another_process_is_waited_for(tmp_path: Path) -> None:
    once, seen = dataclasses.replace(TINY, epochs=1), list[Features]()
    training = threading.Thread(target=lambda: seen.append(encode(once, some_split(), tmp_path)[0]))
    with Work(tmp_path / "scratch", tmp_path / "kept").keeping():
        training.start()
        training.join(0.5)
        assert training.is_alive()
        assert not list((tmp_path / "kept").iterdir())
    training.join()
    assert len(seen) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(DataError, match=r"kept: cannot be written"):
        encode(dataclasses.replace(TINY, epochs=1), some_split(), tmp_path)


def test_a_checkpoint_is_whole_or_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split, path = some_split(), tmp_path / "kept" / "checkpoint.safetensors"
    encode(dataclasses.replace(TINY, epochs=1), split, tmp_path)
    before = path.read_bytes()

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)"):
        simclr_training._write(path, b"half")
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["checkpoint.safetensors", "curve.csv"]


def test_a_loss_that_is_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the loss is nan in epoch 1; try a lower lr"):
        encode(dataclasses.replace(TINY, lr=1e38, epochs=1), some_split(), tmp_path)


def test_tables_have_no_views(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="simclr is for images, not for table"):
        encode(TINY, split_of(np.zeros((4, 2), np.float32), np.zeros((2, 2), np.float32)), tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("network", "resnet", "unknown network 'resnet'; did you mean 'resnet18'"),
        ("recipe", "scn", "unknown recipe 'scn'; did you mean 'scan'"),
        ("views", "fotos", "unknown views 'fotos'; did you mean 'photo'"),
        ("epochs", 0, "epochs is 0; legal: a number from 1"),
        ("temperature", 0.0, "temperature is 0.0; legal: a number above 0"),
        ("weight_decay", -1.0, "weight_decay is -1.0; legal: a number from 0"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Simclr(**{field: value})  # type: ignore[arg-type]  # what YAML may say

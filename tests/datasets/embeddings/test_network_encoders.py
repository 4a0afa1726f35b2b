"""Running a network over images, and the control encoder that needs no weights."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.embeddings import encode, rng, split_of, table
from torch import nn

from albench.benchmark.types import Features, Rows
from albench.datasets.digits import Digits
from albench.datasets.embeddings.base import StorageError, Work
from albench.datasets.embeddings.cache.origin import origin
from albench.datasets.embeddings.networks import apply as _network
from albench.datasets.embeddings.networks.apply import apply, seeded
from albench.datasets.embeddings.random_conv import RandomConv
from albench.datasets.embeddings.raw import Raw
from albench.datasets.reading.base import DataError, Split, Step, silent


def pictures(n: int, size: int = 12, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def split(n: int = 600, m: int = 301) -> Split:
    return split_of(pictures(n), pictures(m, seed=1), "images")


def prepare(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


def small() -> nn.Module:
    layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(), nn.AvgPool2d(5)]
    return nn.Sequential(*layers)  # (B, 16, 2, 2): to be flattened


def run(module: nn.Module, data: Split, folder: Path, report: object = None) -> tuple[Features, Features]:
    work = Work(folder / "scratch", folder / "kept", report if callable(report) else silent)
    return apply(module, data, prepare, work, what="net")


@pytest.fixture
def one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on the CPU also where there is a GPU: what is promised bit for bit, is promised there."""
    monkeypatch.setattr(_network, "_devices", lambda: [torch.device("cpu")])


def test_the_device_of_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    found = origin(RandomConv())
    assert found["device"].startswith("cpu (")
    assert found["libraries"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {i}")
    assert origin(RandomConv())["device"] == "GPU 0, GPU 1"
    assert origin(Raw())["device"].startswith("cpu (")  # it runs on no GPU


def test_it_is_the_plain_loop(tmp_path: Path) -> None:
    data, module = split(70, 9), seeded(small, rng())
    found = run(module, data, tmp_path)
    for part, x in zip(found, (data.train[:], data.test[:]), strict=True):
        with torch.no_grad():
            rows = [module.eval()(prepare(torch.tensor(image)[None].permute(0, 3, 1, 2))).ravel() for image in x]
        assert part.shape == (len(x), 64)
        assert part.dtype == np.float32
        assert np.allclose(part, torch.stack(rows), atol=2e-2 if torch.cuda.is_available() else 1e-5)


def test_the_bits_do_not_depend_on_cores_or_threads(
    tmp_path: Path, one_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, answers = split(), []
    before = torch.get_num_threads()
    for workers, threads in ((1, 1), (2, 1), (5, 2)):
        monkeypatch.setattr(_network, "cores", lambda workers=workers: workers)
        torch.set_num_threads(threads)
        try:
            answers.append(run(seeded(small, rng()), data, tmp_path / str(workers)))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    for other in answers[1:]:
        assert np.array_equal(answers[0][0], other[0])
        assert np.array_equal(answers[0][1], other[1])


def test_every_core_works(tmp_path: Path, one_cpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_network, "cores", lambda: 3)
    together = threading.Barrier(3, timeout=20)  # breaks when fewer than three threads are in the network at once

    class Meeting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 1:  # not while the width is measured
                together.wait()
            return x.mean((2, 3))

    run(Meeting(), split(6 * 256, 3 * 256), tmp_path)


class Small(nn.Module):
    """A device that holds five images at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        if len(x) > 5:
            raise torch.OutOfMemoryError("too many")
        return x.mean((2, 3))


def test_the_batch_is_halved_until_memory_suffices(
    tmp_path: Path, one_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_network, "cores", lambda: 1)
    data, module = split(), Small()
    train, test = run(module, data, tmp_path)
    for part, x in ((train, data.train[:]), (test, data.test[:])):
        assert np.allclose(part, (x / 255).mean((1, 2)), atol=1e-5)
    assert module.seen[:8] == [1, 256, 128, 64, 32, 16, 8, 4]
    assert max(module.seen[7:]) == 4


@pytest.mark.parametrize(("part", "row"), [("train", 599), ("test", 3)])
def test_features_that_are_not_finite_name_their_image(tmp_path: Path, part: str, row: int) -> None:
    class Logarithm(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)).log()

    data = split()
    getattr(data, part)[row] = 0
    with pytest.raises(DataError, match=rf"^net: {part} image {row}: its features are NaN or infinite$"):
        run(Logarithm(), data, tmp_path)


@dataclass
class Lazy:
    """Images made when asked for; ``broken`` cannot be."""

    n: int
    size: int
    broken: int = -1
    asked: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n, self.size, self.size, 3)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        numbers = np.arange(self.n)[rows]
        if self.broken in numbers:
            raise DataError([f"image-{self.broken}.jpg: cannot be decoded"])
        self.asked.append(len(numbers))
        return np.broadcast_to((numbers % 251).astype(np.uint8)[:, None, None, None], (len(numbers), *self.shape[1:]))

    def digest(self) -> str:
        return f"{self.n} {self.size}"


def test_an_image_that_cannot_be_decoded_ends_it_at_once(tmp_path: Path) -> None:
    images = Lazy(100_000, 32, broken=1)
    data = Split("images", images, np.zeros(len(images), np.int64), images, np.zeros(len(images), np.int64), ("a", "b"))
    with pytest.raises(DataError, match=r"^image-1\.jpg: cannot be decoded$"):
        run(nn.AdaptiveAvgPool2d(1), data, tmp_path)
    assert sum(images.asked) < 100_000


def test_it_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for every, most in ((0.0, 100), (60.0, 2)):
        monkeypatch.setattr(_network, "EVERY", every)
        steps: list[Step] = []
        run(seeded(small, rng()), split(), tmp_path / str(every), steps.append)
        assert [step.done for step in steps] == sorted({step.done for step in steps})
        assert (steps[-1].done, steps[-1].total, steps[-1].unit, steps[-1].what) == (901, 901, "images", "net")
        assert steps[-1].note.endswith(" images/s, 0 s left")
        assert 2 <= len(steps) <= most


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.append(str(Path.cwd().parents[1]))
import numpy as np, torch
from albench.datasets.reading.base import Split
from albench.datasets.embeddings.networks import apply as _network
from albench.datasets.embeddings.base import Work
from test_network_encoders import Lazy

_network._devices = lambda: [torch.device("cpu")]
_network.cores = lambda: 2
module = torch.nn.Conv2d(3, 4, 8, stride=8)
prepare = lambda images: images[:, :, ::8, ::8].float()

def run(n, folder):
    images = Lazy(n, 256)
    labels = np.zeros(n, np.int64)
    return _network.apply(module, Split("images", images, labels, images, labels, ("a", "b")), prepare,
                          Work(Path(folder) / "scratch", Path(folder)), what="net")

run(32, sys.argv[1] + "/warm")
data = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (data * 1024 + 200 * 2**20, resource.RLIM_INFINITY))
train, test = run(1500, sys.argv[1])
try:
    np.ascontiguousarray(Lazy(1500, 256)[:])
except MemoryError:
    print("bounded", train.shape, test.shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on memory that the system keeps")
def test_a_dataset_larger_than_memory_passes(tmp_path: Path) -> None:
    """Each part takes 281 MiB as bytes and four times that as numbers; 200 MiB are allowed."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    assert done.stdout == "bounded (1500, 64) (1500, 64)\n", done.stderr


def test_a_full_disk_is_noticed_before_anything_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match=r"train\.npy: cannot be written \(No space left on device\)$"):
        run(nn.AdaptiveAvgPool2d(1), split(), tmp_path)


# --- weights from a generator


def test_weights_are_drawn_from_the_generator_alone() -> None:
    state = torch.get_rng_state()
    one, two, other = (seeded(small, np.random.default_rng(seed)).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


def test_weights_are_those_of_he() -> None:
    state = seeded(
        lambda: nn.Sequential(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.Linear(512, 256)), rng()
    ).state_dict()
    for layer, fan_in in ((0, 288), (2, 512)):
        weight, bias = (state[f"{layer}.{name}"] for name in ("weight", "bias"))
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert weight.mean().abs() < 0.002
        assert not bias.any()
    norm = [state[f"1.{name}"].unique().tolist() for name in ("weight", "bias", "running_mean", "running_var")]
    assert norm == [[1], [0], [0], [1]]


def test_a_module_without_rules_is_refused() -> None:
    def with_buffer() -> nn.Module:
        module = nn.Module()
        module.register_buffer("table", torch.zeros(3))
        return module

    with pytest.raises(TypeError, match="in_proj_weight: no rule for this parameter"):
        seeded(lambda: nn.MultiheadAttention(8, 2), rng())
    with pytest.raises(TypeError, match="no rule for the buffers of a Module"):
        seeded(with_buffer, rng())


# --- random-conv


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3), (224, 3), (1, 4)])
def test_random_convolutions_take_images_of_every_size(size: int, channels: int, tmp_path: Path) -> None:
    data = split_of(pictures(5, size, channels), pictures(3, size, channels, seed=1), "images")
    train, test = encode(RandomConv(channels=6, grid=3), data, tmp_path)
    assert (train.shape, test.shape) == ((5, 54), (3, 54))
    assert len(np.unique(train, axis=0)) == 5


def test_random_convolutions_are_fixed_by_the_generator(tmp_path: Path) -> None:
    data = split(20, 10)
    state = torch.get_rng_state()
    one, two = (encode(RandomConv(), data, tmp_path / name) for name in "ab")
    work = Work(tmp_path / "c", tmp_path)
    other = RandomConv().encode(data, np.random.default_rng(1), work)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    assert not np.allclose(one[0], other[0])


def test_random_convolutions_keep_what_is_in_the_images(tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    digits = Digits().load(0)
    train, test = encode(RandomConv(), digits, tmp_path)
    nearest = KNeighborsClassifier(1).fit(train, digits.train_labels)
    assert nearest.score(test, digits.test_labels) > 0.9  # pixels: 0.98


def test_random_convolutions_are_for_images() -> None:
    assert RandomConv().problems(table()) == ["random-conv is for images, not for table"]
    with pytest.raises(DataError, match=r"^random-conv is for images, not for table$"):
        encode(RandomConv(), table())
    with pytest.raises(ValueError, match=r"^layers is 0; legal: at least 1$"):
        RandomConv(layers=0)

"""Encoders whose networks were trained elsewhere: timm and torchvision, with weights in local files."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from support.embeddings import encode, split_of, table
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from albench.benchmark.grid.params import choose
from albench.benchmark.registry import encoders
from albench.datasets.embeddings.cache.store import embed, fingerprint
from albench.datasets.embeddings.dino import Dino
from albench.datasets.embeddings.dinov2 import Dinov2
from albench.datasets.embeddings.networks import apply
from albench.datasets.embeddings.networks.apply import seeded
from albench.datasets.embeddings.networks.pretrained import Pretrained
from albench.datasets.embeddings.timm import Timm
from albench.datasets.embeddings.torchvision import Torchvision
from albench.datasets.reading.base import DataError, Split
from albench.datasets.reading.loading import Loaded, content_hash

RESNET, SHUFFLE = "test_resnet", "shufflenet_v2_x0_5"  # the smallest there are


def pictures(n: int, channels: int = 3, height: int = 70) -> NDArray[np.uint8]:
    """Return smooth pictures, 20 wider than high: resizing noise would tell little."""
    draw = np.random.default_rng(n)
    coarse = torch.tensor(draw.uniform(0, 255, (n, channels, 5, 6)), dtype=torch.float32)
    fine = torch.nn.functional.interpolate(coarse, (height, height + 20), mode="bilinear")
    return fine.byte().permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture(scope="module")
def data() -> Split:
    return split_of(pictures(7), pictures(3), "images")


def networks() -> dict[str, torch.nn.Module]:
    """Return a network of timm (with 7 classes, not its 1000) and one of torchvision, whose norms have seen data."""
    draw = np.random.default_rng(0)
    build = {
        "timm": lambda: timm.create_model(RESNET, num_classes=7),
        "torchvision": lambda: torchvision.models.get_model(SHUFFLE, weights=None),
    }
    made: dict[str, torch.nn.Module] = {name: seeded(make, draw) for name, make in build.items()}
    for module in made.values():
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.from_numpy(draw.normal(0, 0.1, len(buffer))))
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name, module in networks().items():
        torch.save({"state_dict": module.state_dict(), "epoch": 3}, folder / f"{name}.pth")
        found[name] = str(folder / f"{name}.pth")
    return found


@pytest.fixture(params=["timm", "torchvision"])
def encoder(request: pytest.FixtureRequest, files: dict[str, str]) -> Pretrained:
    return Timm(RESNET, files["timm"]) if request.param == "timm" else Torchvision(SHUFFLE, files["torchvision"])


def refused(encoder: Pretrained) -> str:
    with pytest.raises(DataError) as caught:
        encoder.content_hash()
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 450
    return str(caught.value)


# --- features


@pytest.mark.parametrize("height", [70, 168])
def test_timm_is_timm(height: int, files: dict[str, str], tmp_path: Path) -> None:
    module: Any = networks()["timm"].eval()
    transform = create_transform(**resolve_model_data_config(module), is_training=False)  # type: ignore[no-untyped-call]  # timm's

    def forward(image: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = module.forward_head(module.forward_features(image), pre_logits=True)
        return features

    compare(Timm(RESNET, files["timm"]), height, height == 168, forward, transform, tmp_path)


@pytest.mark.parametrize("height", [70, 256])
def test_torchvision_is_torchvision(height: int, files: dict[str, str], tmp_path: Path) -> None:
    module: Any = networks()["torchvision"].eval()
    module.fc = torch.nn.Identity()
    transform = torchvision.models.get_model_weights(SHUFFLE)["DEFAULT"].transforms()
    compare(Torchvision(SHUFFLE, files["torchvision"]), height, height == 256, module, transform, tmp_path)


def compare(encoder: Pretrained, height: int, exact: bool, forward: Any, transform: Any, folder: Path) -> None:
    """Compare with the library's own way, image by image from PIL images.

    It is ``exact`` where images are cut and not resized: PIL and torch round resized pixels differently.
    """
    data = split_of(pictures(3, height=height), pictures(2, height=height), "images")
    for part, x in zip(encode(encoder, data, folder), (data.train[:], data.test[:]), strict=True):
        with torch.no_grad():
            rows = torch.cat([forward(transform(Image.fromarray(image))[None]) for image in x]).numpy()
        assert part.shape == rows.shape
        assert np.abs(part - rows).max() < (1e-4 if exact else 0.1) * np.abs(rows).max()


def test_grey_images_are_repeated(encoder: Pretrained, tmp_path: Path) -> None:
    grey = split_of(pictures(4, 1), pictures(2, 1), "images")
    rgb = split_of(np.repeat(grey.train[:], 3, axis=3), np.repeat(grey.test[:], 3, axis=3), "images")
    one, other = encode(encoder, grey, tmp_path / "grey"), encode(encoder, rgb, tmp_path / "rgb")
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_other_inputs_are_refused(encoder: Pretrained) -> None:
    four = split_of(pictures(4, 4), pictures(2, 4), "images")
    assert encoder.problems(table()) == [f"{encoder.name} is for images, not for table"]
    assert encoder.problems(four) == [f"{encoder.name} is for images with 1 or 3 channels, not with 4"]
    with pytest.raises(DataError, match="is for images, not for table"):
        encode(encoder, table())


def test_the_global_generator_is_left_alone(encoder: Pretrained, data: Split, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    encode(encoder, data, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_cached_by_its_weights(encoder: Pretrained, data: Split, cache: Path) -> None:
    loaded = Loaded("own", "own", {}, data, content_hash(data))
    first, again = embed(loaded, encoder), embed(loaded, encoder)
    assert first.fingerprint == again.fingerprint == fingerprint(loaded.content, encoder)
    assert len(first.features) == 7


# --- the fingerprint


def test_the_hash_is_of_the_weights_not_of_the_file(
    encoder: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encoder.weights is not None
    known = encoder.content_hash()
    state = torch.load(encoder.weights, weights_only=True)["state_dict"]
    save_file(state, tmp_path / "other.safetensors")
    elsewhere = str(shutil.copy(encoder.weights, tmp_path / "moved.pth"))
    monkeypatch.setattr(apply, "PIXELS", 99)
    monkeypatch.setattr(apply, "cores", lambda: 7)
    for path in (str(tmp_path / "other.safetensors"), elsewhere):
        assert dataclasses.replace(encoder, weights=path).content_hash() == known
    name = next(name for name in state if state[name].ndim == 4)
    state[name].view(-1)[0] += 1e-3
    torch.save(state, elsewhere)
    assert dataclasses.replace(encoder, weights=elsewhere).content_hash() != known  # the same path, another content


def test_the_hash_covers_the_transform(encoder: Pretrained) -> None:
    network = encoder.network()
    assert network.digest() == encoder.content_hash()
    for key, value in network.settings.items():
        other = dataclasses.replace(network, settings={**network.settings, key: [value]})
        assert other.digest() != network.digest()


def test_labels_name_the_model() -> None:
    problems: list[str] = []
    said = [
        "timm:vit_small_patch14_dinov2.lvd142m",
        {"name": "timm", "model": "test_vit", "weights": "some/where/mine.pth"},
        {"name": "torchvision", "model": "resnet50.IMAGENET1K_V1", "store": "float16"},
    ]
    choices = [choose(encoders, one, "embeddings", problems) for one in said]
    assert not problems
    assert [choice.part.label for choice in choices if choice] == [
        "timm:vit_small_patch14_dinov2.lvd142m",
        "timm:test_vit[mine.pth]",
        "torchvision:resnet50.IMAGENET1K_V1(store=float16)",
    ]
    assert choices[1] is not None
    assert "mine" not in choices[1].part.params


def test_dino_and_dinov2_are_names_of_timm() -> None:
    problems: list[str] = []
    said = ["dino", {"name": "dino", "size": "base", "patch": 8}, "dinov2", {"name": "dinov2", "size": "g"}]
    choices = [choose(encoders, one, "embeddings", problems) for one in [*said, {"name": "dinov2", "registers": True}]]
    assert not problems
    labels = ["dino", "dino(size=base, patch=8)", "dinov2", "dinov2(size=g)", "dinov2(registers=True)"]
    assert [choice.part.label for choice in choices if choice] == labels
    models = {encoder.model for size in ("small", "base") for patch in (8, 16) for encoder in [Dino(None, size, patch)]}
    models |= {Dinov2(size=size, registers=r).model for size in ("s", "b", "l", "g") for r in (False, True)}
    assert len(models) == 12
    assert models < set(timm.list_pretrained())


def test_dinov2_is_what_timm_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Network and transform are timm's; without weights at hand the message says where they would come from."""
    built: list[str] = []

    def build(self: Timm) -> torch.nn.Module:
        built.append(self.model)
        return timm.create_model(RESNET)

    monkeypatch.setattr(Timm, "_build", build)
    assert Dinov2(size="b").network().settings == Timm(RESNET).network().settings
    assert built == ["vit_base_patch14_dinov2.lvd142m", RESNET]
    with pytest.raises(ValueError, match="unknown size 'small'"):
        Dinov2(size="small")  # type: ignore[arg-type]  # what YAML may say


# --- what can be wrong


def test_unknown_names_have_a_nearest_match() -> None:
    message = refused(Timm("vit_smal_patch14_dinov2"))
    assert message.startswith(
        "unknown timm model 'vit_smal_patch14_dinov2'; did you mean 'vit_small_patch14_dinov2' or "
    )
    assert "did you mean 'resnet18.a1_in1k'" in refused(Timm("resnet18.a1_in1"))
    assert "did you mean 'resnet50.IMAGENET1K_V2' or 'resnet50.IMAGENET1K_V1'" in refused(
        Torchvision("resnet50.IMAGENET1K_V3")
    )
    assert refused(Timm("?")).startswith("unknown timm model '?'; ")
    assert refused(Torchvision("inception_v3")).startswith("unknown torchvision model 'inception_v3'; ")


def test_weights_that_do_not_fit(encoder: Pretrained, files: dict[str, str], tmp_path: Path) -> None:
    other = files["torchvision" if isinstance(encoder, Timm) else "timm"]
    assert "these weights do not fit" in refused(dataclasses.replace(encoder, weights=other))
    assert encoder.weights is not None
    state = torch.load(encoder.weights, weights_only=True)["state_dict"]
    name = next(name for name in state if state[name].ndim == 4)
    path = tmp_path / "weights.pth"
    for wrong, why in (
        ({key: value for key, value in state.items() if key != name}, "Missing key"),
        (state | {name: state[name][:1]}, "size mismatch"),
        (state | {"strange.weight": torch.zeros(2)}, "Unexpected key"),
    ):
        torch.save(wrong, path)
        message = refused(dataclasses.replace(encoder, weights=str(path)))
        assert message.startswith(f"{path}: these weights do not fit {encoder.name} (")
        assert why in message


def test_files_that_are_no_weights(encoder: Pretrained, tmp_path: Path) -> None:
    assert encoder.weights is not None
    whole = Path(encoder.weights).read_bytes()
    path = tmp_path / "weights.pth"
    for content in (b"", b"text", whole[: len(whole) // 2]):
        for suffix in (".pth", ".safetensors"):
            path = tmp_path / f"weights{suffix}"
            path.write_bytes(content)
            message = refused(dataclasses.replace(encoder, weights=str(path)))
            assert message.startswith(f"{path}: cannot be read as weights (")
    others: tuple[tuple[object, str], ...] = (
        ([1, 2], "no attribute 'items'"),
        ({"conv.weight": 3}, "'conv.weight' is no tensor"),
    )
    for other, why in others:
        torch.save(other, tmp_path / "weights.pth")
        message = refused(dataclasses.replace(encoder, weights=str(tmp_path / "weights.pth")))
        assert "cannot be read as weights" in message
        assert why in message
    assert refused(dataclasses.replace(encoder, weights="no/file.pth")) == "no/file.pth: no such file of weights"


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("exploded").write_text, ("!",))


def test_nothing_in_a_file_is_executed(encoder: Pretrained, own_folder: Path) -> None:
    torch.save({"state_dict": Bomb()}, "bomb.pth")
    assert "cannot be read as weights" in refused(dataclasses.replace(encoder, weights="bomb.pth"))
    assert not Path("exploded").exists()


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries for a minute
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    assert refused(Timm("test_vit")).startswith(
        "timm:test_vit: cannot get its weights from timm/test_vit.r160_in1k; weights: takes a local file ("
    )
    assert refused(Torchvision(SHUFFLE)).startswith(
        f"torchvision:{SHUFFLE}: cannot get its weights from https://download.pytorch.org/models/shufflenetv2_x0.5"
    )


def test_a_model_without_pretrained_weights() -> None:
    assert refused(Timm("test_mambaout")) == (
        "timm:test_mambaout has no pretrained weights; weights: takes a local file"
    )

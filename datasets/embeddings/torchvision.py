"""Encoders of torchvision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...benchmark.registry import encoder
from ..reading.base import DataError
from ..reading.transfer import AbsentError, is_offline
from .networks.pretrained import Network, Pretrained, as_rgb, check_name, one_line, read_weights

if TYPE_CHECKING:
    import torch

LEFT_OUT = ("googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1")
"""Those that change their input when they load weights, and those without a linear classifier."""


@encoder("torchvision", cite="TorchVision maintainers and contributors, TorchVision: PyTorch's Computer Vision library")
@dataclass(frozen=True)
class Torchvision(Pretrained):
    """A pretrained classifier of torchvision by its name there, with its own transform.

    ``resnet50`` has its newest weights, ``resnet50.IMAGENET1K_V1`` those of that name. Features are what goes into
    the last linear layer. ``weights`` is a local .safetensors or .pth file; without it they are downloaded into
    torch's cache. Grey images are repeated to three channels.
    """

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch", "torchvision")

    @property
    def name(self) -> str:
        return f"torchvision:{self.model}"

    def network(self) -> Network:
        found = _known()
        check_name("torchvision", self.model, found)
        source = found[self.model]
        transform = source.transforms()
        settings = {
            "resize": list(transform.resize_size),
            "crop": list(transform.crop_size),
            "mean": list(transform.mean),
            "std": list(transform.std),
            "interpolation": transform.interpolation.value,
            "antialias": transform.antialias,
        }
        return Network(self._build(source), lambda images: transform(as_rgb(images)), settings)

    def _build(self, source: Any) -> torch.nn.Module:
        import torch  # noqa: PLC0415  heavy
        from torchvision.models import get_model  # noqa: PLC0415  heavy

        with torch.random.fork_rng(devices=[]):  # it draws weights from the global generator, to be replaced
            module: torch.nn.Module = get_model(self.model.partition(".")[0], weights=None)
        head = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)][-1]
        parent, _, leaf = head.rpartition(".")
        setattr(module.get_submodule(parent), leaf, torch.nn.Identity())
        state = _downloaded(source, head, self.name) if self.weights is None else read_weights(self.weights, {head})
        try:
            module.load_state_dict(state)
        except (RuntimeError, TypeError) as error:
            where = self.weights or source.url
            raise DataError([f"{where}: these weights do not fit {self.name} ({one_line(error)})"]) from error
        return module


def _known() -> dict[str, Any]:
    """Return the weights, a member of torchvision's enumerations, of each legal name."""
    from torchvision import models  # noqa: PLC0415  heavy

    known = {}
    for name in models.list_models(module=models):
        if name not in LEFT_OUT:
            offered = models.get_model_weights(name)
            known[name] = offered.DEFAULT
            known |= {f"{name}.{weights.name}": weights for weights in offered}
    return known


def _downloaded(source: Any, head: str, name: str) -> dict[str, torch.Tensor]:
    import torch  # noqa: PLC0415  heavy

    try:
        if is_offline() and not (Path(torch.hub.get_dir()) / "checkpoints" / Path(source.url).name).exists():
            raise AbsentError([f"{name}: its weights are not on this machine"])
        state = source.get_state_dict(check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        why = f"cannot get its weights from {source.url}; weights: takes a local file ({one_line(error)})"
        raise DataError([f"{name}: {why}"]) from error
    return {key: tensor for key, tensor in state.items() if key.rpartition(".")[0] != head}

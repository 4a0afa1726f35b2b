"""Encoders of the timm library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...benchmark.registry import encoder
from ..reading.base import DataError
from ..reading.transfer import unavailable
from .networks.pretrained import Network, Pretrained, as_rgb, check_name, one_line, read_weights

if TYPE_CHECKING:
    import torch


@encoder("timm", cite="Wightman, PyTorch Image Models (2019), doi 10.5281/zenodo.4414861")
@dataclass(frozen=True)
class Timm(Pretrained):
    """A pretrained network of timm by its name there, with its own transform: DINO, DINOv2, MAE, CLIP and others.

    Features are what goes into the classifier, pooled as the network does it. ``weights`` is a local .safetensors or
    .pth file (an own classifier in it is left out); without it they come from the Hugging Face hub, into its cache.
    Grey images are repeated to three channels.
    """

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch", "timm", "torchvision")

    @property
    def name(self) -> str:
        return f"timm:{self.model}"

    def network(self) -> Network:
        import timm  # noqa: PLC0415  heavy
        from timm.data.config import resolve_model_data_config  # noqa: PLC0415  heavy
        from timm.data.transforms_factory import create_transform  # noqa: PLC0415  heavy
        from torchvision.transforms.functional import normalize  # noqa: PLC0415  heavy

        check_name("timm", self.model, {*timm.list_models(), *timm.list_pretrained()})
        module = self._build()
        settings: dict[str, Any] = resolve_model_data_config(module)  # type: ignore[no-untyped-call]  # timm's, untyped
        bring_to_size = create_transform(**settings, is_training=False, normalize=False)

        def prepare(images: torch.Tensor) -> torch.Tensor:
            ready = bring_to_size(as_rgb(images)).float() / 255
            normal: torch.Tensor = normalize(ready, settings["mean"], settings["std"])
            return normal

        return Network(module, prepare, settings)

    def _build(self) -> torch.nn.Module:
        import timm  # noqa: PLC0415  heavy
        import torch  # noqa: PLC0415  heavy
        from timm.models import get_pretrained_cfg, is_model_pretrained  # noqa: PLC0415  heavy

        there = get_pretrained_cfg(self.model) if is_model_pretrained(self.model) else None
        overlay: dict[str, object] = {}
        if self.weights is not None:
            heads = () if there is None or there.classifier is None else there.classifier
            state = read_weights(self.weights, {heads} if isinstance(heads, str) else set(heads))
            # with classes like the network's, 0, timm insists that every weight is there and none is left over
            overlay = {"state_dict": state, "num_classes": 0, "label_offset": 0, "custom_load": False}
            failed = f"{self.weights}: these weights do not fit {self.name}"
        elif there is None:
            raise DataError([f"{self.name} has no pretrained weights; weights: takes a local file"])
        else:
            source = there.hf_hub_id or there.url
            failed = f"{self.name}: cannot get its weights from {source}; weights: takes a local file"
        try:
            with torch.random.fork_rng(devices=[]):  # timm draws weights from the global generator, to replace them
                module: torch.nn.Module = timm.create_model(
                    self.model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay
                )
        except (OSError, RuntimeError, LookupError, ValueError) as error:
            messages = [f"{failed} ({one_line(error)})"]
            hub = self.weights is None
            raise unavailable(messages, f"{self.name}: its weights are") if hub else DataError(messages) from error
        return module

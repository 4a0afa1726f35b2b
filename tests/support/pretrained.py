"""Networks of timm that are small enough for tests, with weights in files as if they were trained elsewhere."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

from albench.benchmark.learners.finetune import FineTune
from albench.benchmark.learners.networks import finetuning
from albench.benchmark.types import Lesson
from albench.datasets.embeddings.networks import pretrained as known

RESNET = "test_resnet"
VIT = "vit_of_tests"
default_cfgs = generate_default_cfgs({VIT: {"input_size": (3, 8, 8), "crop_pct": 1.0, "num_classes": 0}})


@register_model
def vit_of_tests(**said: Any) -> Any:
    """A vision transformer on 8 x 8 pixels: timm's smallest has 160 x 160, which would take tests minutes."""
    sizes = {"img_size": 8, "patch_size": 2, "embed_dim": 24, "depth": 3, "num_heads": 2}
    return build_model_with_cfg(VisionTransformer, VIT, **{**sizes, **said})


@cache
def drawn(model: str = VIT) -> str:
    """Return a file of weights as timm draws them; norms have seen data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = timm.create_model(model, num_classes=0)
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
    return _kept(model, made.state_dict())


@cache
def trained() -> str:
    """Return a file of the weights of `VIT`, trained to tell odd digits apart: of the even ones it has seen none."""
    x, y = load_digits(return_X_y=True)
    images = (15 * x[y % 2 == 1]).astype(np.uint8).reshape(-1, 8, 8, 1)
    from_scratch = FineTune(VIT, drawn(), epochs=8, batch=32, rate=5e-3, warm_up=10)
    model = from_scratch.fit(Lesson.of(images, y[y % 2 == 1], 10, np.random.default_rng(0)))
    return _kept("trained", {name.removeprefix("network."): part for name, part in model.weights.items()})


def in_hub(patch: pytest.MonkeyPatch, folder: Path, repository: str, model: str) -> None:
    """Let the Hugging Face hub's cache hold the weights `drawn` as those of a repository, and nothing be fetched."""
    place = folder / f"models--{repository.replace('/', '--')}"
    for path, content in (
        ("refs/main", b"0"),
        ("snapshots/0/model.safetensors", Path(drawn(model)).read_bytes()),
    ):
        (place / path).parent.mkdir(parents=True)
        (place / path).write_bytes(content)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    # what is remembered of these weights in this process goes with them
    patch.setattr(known, "_digest", lru_cache(known._digest.__wrapped__))
    patch.setattr(finetuning, "read", lru_cache(finetuning.read.__wrapped__))


@cache
def _folder() -> Path:
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _kept(name: str, state: dict[str, torch.Tensor]) -> str:
    path = str(_folder() / f"{name}.safetensors")
    save_file(state, path)
    return path

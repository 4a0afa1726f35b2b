"""Small editions of published datasets, which torchvision is made to take for the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torchvision.datasets as facts
from support import archives
from support.archives import Files, Part, md5
from support.server import Server


@dataclass(frozen=True)
class Small:
    """A small edition of a dataset: its files, and what is in them."""

    name: str
    files: Files
    train: Part
    test: Part

    def put(self, folder: Path) -> str:
        folder.mkdir()
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return str(folder)

    def server(self) -> Server:
        return Server({f"/{self.name}/{name}": content for name, content in self.files.items()})


def publish(name: str, files: Files, patch: pytest.MonkeyPatch) -> None:
    """Let torchvision know the checksums of these files, and of those that are packed in them, as the published."""
    sums = {file: md5(content) for file, content in files.items()}
    if name in ("mnist", "fashion-mnist", "kmnist"):
        kind = {"mnist": facts.MNIST, "fashion-mnist": facts.FashionMNIST, "kmnist": facts.KMNIST}[name]
        patch.setattr(kind, "resources", [(file, sums[file]) for file, _ in kind.resources])
    elif name == "emnist":
        patch.setattr(facts.EMNIST, "md5", sums["gzip.zip"])
    elif name == "svhn":
        lists = facts.SVHN.split_list.items()
        patch.setattr(facts.SVHN, "split_list", {k: [url, f, sums.get(f, "")] for k, (url, f, _) in lists})
    else:
        kind = {"cifar10": facts.CIFAR10, "cifar100": facts.CIFAR100, "stl10": facts.STL10}[name]
        patch.setattr(kind, "tgz_md5", sums[kind.filename])
        inside = {file: md5(content) for file, content in archives.untar(files[kind.filename]).items()}
        for part in ("train_list", "test_list"):
            patch.setattr(kind, part, [[file, inside[file]] for file, _ in getattr(kind, part)])
        if hasattr(kind, "meta"):
            patch.setattr(kind, "meta", {**kind.meta, "md5": inside[kind.meta["filename"]]})


def make(name: str, patch: pytest.MonkeyPatch) -> Small:
    packers: dict[str, Any] = {
        "emnist": lambda: archives.emnist("balanced", 47, 0),
        "cifar10": archives.cifar10,
        "cifar100": archives.cifar100,
        "svhn": archives.svhn,
        "stl10": archives.stl10,
    }
    files, (train, test) = packers.get(name, archives.mnist)()
    publish(name, files, patch)
    return Small(name, files, train, test)

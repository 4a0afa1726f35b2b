"""The published files of image datasets in their original formats, but small and of random pixels.

Each function returns file name -> content and the parts that are in them: (images (N, H, W, C) uint8, labels (N,)) of
train and of test, upright, labels from 0.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Part = tuple[NDArray[np.uint8], NDArray[np.int64]]
Files = dict[str, bytes]

IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def parts(n_classes: int, size: int, channels: int, train: int, test: int) -> tuple[Part, Part]:
    """Draw both parts; each class occurs in both where there are rows enough."""
    rng = np.random.default_rng(size + n_classes)

    def part(rows: int) -> Part:
        labels = rng.permutation(np.arange(rows) % n_classes)
        return rng.integers(0, 256, (rows, size, size, channels), dtype=np.uint8), labels

    return part(train), part(test)


def idx(array: NDArray[Any]) -> bytes:
    """Pack bytes as a gzipped idx file: magic number, lengths of the axes (big-endian), values."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


def mnist() -> tuple[Files, tuple[Part, Part]]:
    both = parts(10, 28, 1, 30, 20)
    arrays = [array for images, labels in both for array in (images[..., 0], labels)]
    return dict(zip(IDX, map(idx, arrays), strict=True)), both


def emnist(split: str, n_classes: int, first: int) -> tuple[Files, tuple[Part, Part]]:
    both = parts(n_classes, 28, 1, 2 * n_classes, n_classes)
    members = {}
    for name, (images, labels) in zip(("train", "test"), both, strict=True):
        members[f"gzip/emnist-{split}-{name}-images-idx3-ubyte.gz"] = idx(images[..., 0].transpose(0, 2, 1))
        members[f"gzip/emnist-{split}-{name}-labels-idx1-ubyte.gz"] = idx(labels + first)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return {"gzip.zip": packed.getvalue()}, both


def cifar10() -> tuple[Files, tuple[Part, Part]]:
    both = (images, labels), test = parts(10, 32, 3, 50, 20)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    batches = {
        f"data_batch_{i + 1}": _batch((images[rows], labels[rows]), "labels")
        for i, rows in enumerate(np.split(np.arange(50), 5))
    }
    batches |= {"test_batch": _batch(test, "labels"), "batches.meta": python2({"label_names": names})}
    return {"cifar-10-python.tar.gz": tar("cifar-10-batches-py", batches)}, both


def cifar100() -> tuple[Files, tuple[Part, Part]]:
    both = train, test = parts(100, 32, 3, 200, 100)
    names = [f"kind {i}" for i in range(100)]
    batches = {"train": _batch(train, "fine_labels"), "test": _batch(test, "fine_labels")}
    batches["meta"] = python2({"fine_label_names": names, "coarse_label_names": names[:20]})
    return {"cifar-100-python.tar.gz": tar("cifar-100-python", batches)}, both


def _batch(part: Part, labels: str) -> bytes:
    images, numbers = part
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    coarse = {"coarse_labels": [n // 5 for n in numbers.tolist()]} if labels == "fine_labels" else {}
    return python2({"data": rows, labels: numbers.tolist(), **coarse})


def python2(value: object) -> bytes:
    """Pickle as Python 2 and a numpy of 2009 did: byte strings, numbers where numpy now wants truth values."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, list | tuple):
        return b"(" + b"".join(map(_opcodes, value)) + (b"l" if isinstance(value, list) else b"t")
    if isinstance(value, dict):
        return b"(" + b"".join(_opcodes(item) for pair in value.items() for item in pair) + b"d"
    if isinstance(value, str | bytes):
        content = value.encode() if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(content)) + content
    return b"N" if value is None else b"J" + struct.pack("<i", value)


def _array(value: NDArray[np.uint8]) -> bytes:
    dtype = b"cnumpy\ndtype\n" + _opcodes(("u1", 0, 1)) + b"R"
    dtype += _opcodes((3, "|", None, None, None, -1, -1, 0)) + b"b"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _opcodes((0,)) + _opcodes("b") + b"tR"
    state = b"(" + _opcodes(1) + _opcodes(value.shape) + dtype + b"\x89" + _opcodes(value.tobytes()) + b"t"
    return made + state + b"b"


def svhn() -> tuple[Files, tuple[Part, Part]]:
    from scipy.io import savemat

    both = parts(10, 32, 3, 40, 20)
    files = {}
    for name, (images, labels) in zip(("train", "test"), both, strict=True):
        file = io.BytesIO()
        y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(file, {"X": images.transpose(1, 2, 3, 0), "y": y}, do_compression=True)
        files[f"{name}_32x32.mat"] = file.getvalue()
    return files, both


def stl10() -> tuple[Files, tuple[Part, Part]]:
    both = parts(10, 96, 3, 20, 10)
    members = {"class_names.txt": b"not read", "unlabeled_X.bin": b"not read either", "fold_indices.txt": b""}
    for name, (images, labels) in zip(("train", "test"), both, strict=True):
        members[f"{name}_X.bin"] = images.transpose(0, 3, 2, 1).tobytes()
        members[f"{name}_y.bin"] = (labels + 1).astype(np.uint8).tobytes()
    return {"stl10_binary.tar.gz": tar("stl10_binary", members)}, both


def tar(top: str, members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def untar(content: bytes) -> Files:
    """Return the files of a tar file by their last names."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = ((info.name.rpartition("/")[2], archive.extractfile(info)) for info in archive.getmembers())
        return {name: file.read() for name, file in members if file is not None}

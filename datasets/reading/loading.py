"""From a dataset to data that can be trusted: loaded, checked, varied, and known by its content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...benchmark.registry import datasets
from ...benchmark.text import spelled
from ...benchmark.types import Labels
from .base import (
    DataError,
    Dataset,
    Fetched,
    Inputs,
    Report,
    Split,
    arrays_hash,
    label_of,
    parameters,
    plugin_of,
    silent,
    unusable,
)
from .variants import Variants


@dataclass(frozen=True, eq=False)
class Loaded:
    """A checked split, with the names it goes by and the hash of its content."""

    name: str
    label: str
    params: dict[str, Any]
    split: Split
    content: str

    @property
    def about(self) -> dict[str, Any]:
        """What a manifest says of the data."""
        return {"name": self.name, "label": self.label, "params": self.params, "content": self.content}

    @cached_property
    def inputs(self) -> str:
        """The hash of what an encoder sees, labels left out: a network trained without labels is the same for both."""
        return arrays_hash(["inputs", self.split.kind], [self.split.train, self.split.test])


def load(dataset: Dataset, seed: int, report: Report = silent) -> Loaded:
    """Fetch what is missing, load a split, check it, vary it, and hash it: read once, encode as often as wanted.

    The data are read each time, since only their content says whether an embedding is cached.
    """
    plugin = plugin_of(datasets, dataset)
    label = spelled(label_of(plugin, dataset))
    if isinstance(dataset, Fetched):
        dataset.fetch(report)
    split = dataset.load(seed)
    split = replace(split, class_names=tuple(map(spelled, split.class_names)))
    problems = validate(split)
    if problems:
        raise DataError([f"{label}: {problem}" for problem in problems])
    if isinstance(dataset, Variants):
        split = dataset.vary(split, plugin.name, label)
    return Loaded(plugin.name, label, parameters(dataset), split, content_hash(split))


def validate(split: Split, features: str = "float32") -> list[str]:
    """Return everything that is wrong with a split, one line each; its ``features`` (tables too) are of that dtype."""
    dtype = np.dtype("uint8" if split.kind == "images" else features)
    problems = _part_problems("train", split, split.train, split.train_labels, dtype)
    problems += _part_problems("test", split, split.test, split.test_labels, dtype)
    if split.train.shape[1:] != split.test.shape[1:]:
        train, test = ("x".join(map(str, x.shape[1:])) for x in (split.train, split.test))
        problems.append(f"train has {train} features, test {test}")
    if len(split.class_names) < 2:
        problems.append(f"only {len(split.class_names)} class; at least 2 are needed")
    if len(set(split.class_names)) < len(split.class_names):
        twice = next(name for i, name in enumerate(split.class_names) if name in split.class_names[:i])
        problems.append(f"class name {twice!r} is given twice")
    return problems


def _part_problems(name: str, split: Split, x: Inputs, labels: Labels, dtype: np.dtype[Any]) -> list[str]:
    ndim = 4 if split.kind == "images" else 2
    found = x.dtype if isinstance(x, np.ndarray) else np.dtype(np.uint8)
    if found != dtype or len(x.shape) != ndim or 0 in x.shape:
        return [f"{name} is {found} of shape {x.shape}; {split.kind} are {dtype} with {ndim} axes, none empty"]
    if labels.dtype != np.int64 or labels.ndim != 1:
        return [f"{name}_labels is {labels.dtype} of shape {labels.shape}; labels are int64 with 1 axis"]
    problems = unusable(name, x) if isinstance(x, np.ndarray) else []
    if len(x) != len(labels):
        problems.append(f"{name} has {len(x)} rows, {name}_labels {len(labels)}")
    out = np.flatnonzero((labels < 0) | (labels >= len(split.class_names)))
    if len(out):
        where = f"first {labels[out[0]]} in row {out[0]}"
        problems.append(f"{name}_labels: {len(out)} outside 0..{len(split.class_names) - 1}, {where}")
    return problems


def content_hash(split: Split) -> str:
    """Return the sha256 of everything an encoder or learner may see: order, dtypes, shapes and names included."""
    arrays = [split.train, split.train_labels, split.test, split.test_labels]
    return arrays_hash([split.kind, *split.class_names], arrays)

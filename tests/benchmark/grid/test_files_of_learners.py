"""Learners that read a file: its content is part of a trial's identity, and what is wrong with it is a line."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file
from support.commands import TINY, nothing_written, run, write_grid
from support.pretrained import RESNET, VIT, drawn

from albench.benchmark.grid.grid import Grid, parse
from albench.benchmark.grid.study import resolve, unseen
from albench.datasets.reading.base import Split
from albench.datasets.reading.loading import Loaded

IMAGES: dict[str, Any] = {"datasets": ["digits"]}


def said(weights: str | Path | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "finetune", "model": VIT, "weights": str(weights or drawn()), **more}


def grid(*learners: Any) -> Grid:
    return parse(yaml.safe_dump({**TINY, **IMAGES, "learners": list(learners)}), "grid.yaml")


def ids(learner: Any) -> tuple[str, str]:
    trial = next(trial for trial in resolve(grid(learner)).trials if trial.budget.name == "low")
    return trial.trial_id, trial.start_id


WAYS: dict[str, Any] = {
    "alone": said,
    "as a selector": lambda weights: {"name": "knn", "selector": said(weights)},
    "tuned": lambda weights: said(weights, tune={"rate": [0.1, 0.01]}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_trial_is_identified_by_the_content_of_the_file(way: str, tmp_path: Path) -> None:
    there = shutil.copy(drawn(), tmp_path / "same.safetensors")
    other = load_file(drawn())
    other["norm.bias"][0] += 1
    save_file(other, tmp_path / "other.safetensors")
    here = ids(WAYS[way](drawn()))
    assert ids(WAYS[way](there)) == here
    assert all(
        mine != theirs for mine, theirs in zip(ids(WAYS[way](tmp_path / "other.safetensors")), here, strict=True)
    )


def test_learners_without_files_keep_their_identity_and_labels_name_the_file() -> None:
    several = grid("linear", said(recipe="refine", blocks=1), {"name": "knn", "selector": "linear"})
    resolved = resolve(several).grid.learners
    assert [choice.part.label for choice in resolved] == [choice.part.label for choice in several.learners]
    assert resolved[1].part.label == f"finetune:{VIT}[{VIT}.safetensors](recipe=refine, blocks=1)"
    assert [resolved[i].part == several.learners[i].part for i in range(3)] == [True, False, True]
    assert str(Path(drawn()).parent) not in resolved[1].part.params


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such name": (said(model="test_vitt"), "unknown timm model 'test_vitt'; did you mean 'test_vit' or "),
    "no file": (said("no.pth"), "no.pth: no such file of weights"),
    "weights of another": (said(model=RESNET), f"{drawn()}: these weights do not fit timm:{RESNET} (Error"),
    "no such blocks": (said(blocks=5), f"blocks is 5; legal: all, or 1 to 4 of {VIT}"),
    "of a selector": ({"name": "knn", "selector": said("no.pth")}, "no.pth: no such file of weights"),
    "tuned": (said(tune={"blocks": [1, 5]}), f"blocks is 5; legal: all, or 1 to 4 of {VIT}"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_file_is_one_line_before_the_run(own_folder: Path, wrong: str) -> None:
    learner, line = WRONG[wrong]
    write_grid(Path("grid.yaml"), **IMAGES, learners=["linear", learner])
    with nothing_written():
        told = run(Path("grid.yaml"), "out")
    assert told.status == 2
    assert told.err.startswith(f"error: grid.yaml: learners[1]: {line}")
    assert told.err.count("\n") == 1


def test_all_that_is_wrong_comes_at_once(own_folder: Path) -> None:
    learners = [said("no.pth"), {"name": "finetune", "model": "test_mambaout"}]
    write_grid(Path("grid.yaml"), datasets=[{"name": "folder", "path": "nowhere"}], learners=learners)
    lines = run(Path("grid.yaml"), "out").err.splitlines()
    assert [line.split(":")[2].strip() for line in lines] == ["learners[0]", "learners[1]", "datasets[0]"]
    assert lines[1].endswith("timm:test_mambaout has no pretrained weights; weights: takes a local file")


def test_weights_that_cannot_be_fetched(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries for a minute
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(own_folder / "hub"))
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    write_grid(Path("grid.yaml"), **IMAGES, learners=["finetune:test_vit"])
    told = run(Path("grid.yaml"), "out")
    assert told.status == 2
    expected = "timm:test_vit: cannot get its weights from timm/test_vit.r160_in1k; weights: takes a local file ("
    assert told.err.startswith(f"error: grid.yaml: learners[0]: {expected}")
    assert told.err.count("\n") == 1


def test_what_it_cannot_see_is_unsupported_with_the_reason() -> None:
    study = resolve(parse(yaml.safe_dump({**TINY, "learners": [said()]}), "grid.yaml"))
    label = f"finetune:{VIT}[{VIT}.safetensors]"
    assert not study.jobs
    assert {why for _, why in study.unsupported} == {f"{label} needs images; wine has none"}
    (source,) = resolve(grid("linear")).sources.values()
    images = np.zeros((4, 8, 8, 4), np.uint8)
    labels = np.arange(4)
    data = Loaded("own", "own", {}, Split("images", images, labels, images, labels, tuple("abcd")), "content")
    expected = f"cannot see own: timm:{VIT} is for images with 1 or 3 channels, not with 4"
    for learner, name in ((said(), label), (said(tune={"rate": [0.1, 0.2]}), f"{label}(rate=0.1|0.2)")):
        (choice,) = grid(learner).learners
        assert unseen(choice, source.encoder, data) == f"{name} {expected}"
        grey = replace(data.split, train=images[..., :1], test=images[..., :1])
        assert not unseen(choice, source.encoder, replace(data, split=grey))

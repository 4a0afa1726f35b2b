"""Variants of datasets in grids: their trials, their runs, and that every dataset has them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.commands import TINY, invoke, refused, run, write_grid

from albench.benchmark.grid.grid import parse
from albench.benchmark.grid.study import Study, resolve
from albench.benchmark.registry import Plugin, datasets
from albench.datasets.arrays import Arrays
from albench.datasets.digits import Digits
from albench.datasets.reading.loading import load
from albench.datasets.reading.variants import Variants
from albench.datasets.wine import Wine
from albench.results.record.store import RunStore


def study_of(*said: Any) -> Study:
    """The grid `TINY` over these datasets."""
    return resolve(parse(yaml.safe_dump({**TINY, "datasets": list(said)}), "grid.yaml"))


def test_without_variants_ids_and_fingerprints_are_those_of_before_they_existed() -> None:
    resampled = {"name": "wine", "split": "resampled", "test": 0.4}
    study = study_of("wine", resampled, "digits")
    # of version 2 of the linear learner; with version 1 they are those of before variants
    assert [(t.dataset.label, t.trial_id, t.fingerprint[:16]) for t in study.trials] == [
        ("wine", "08a8bd16910ada9b", "26f858d3358ef632"),
        ("wine", "58fc492d383d6228", "26f858d3358ef632"),
        ("wine(split=resampled, test=0.4)", "57fb443c28c9fb76", "40cde7955f84f619"),
        ("wine(split=resampled, test=0.4)", "4409c2afd33475da", "40cde7955f84f619"),
        ("digits", "4eb49da60aba459f", "dd1ccc250c9d320a"),
        ("digits", "b3ae95afa939e60a", "dd1ccc250c9d320a"),
    ]


def test_defaults_that_are_written_out_are_the_same_trial() -> None:
    said = {"name": "wine", "per_class": None, "long_tail": 1, "step": 1.0, "noise": 0, "noise_kind": "symmetric"}
    one, other = (study_of(d).trials for d in ("wine", said))
    assert [t.trial_id for t in one] == [t.trial_id for t in other]
    assert one[0].dataset == other[0].dataset


def test_variants_are_other_trials_with_other_labels() -> None:
    noisy = {"noise": 0.25, "noise_kind": "asymmetric"}
    said: list[dict[str, Any]] = [{"long_tail": 100}, {"step": 2}, {"noise": 0.25}, noisy, {"per_class": 20}]
    study = study_of(*({"name": "digits", **s} for s in said))
    assert len({t.trial_id for t in study.trials}) == len(study.trials) == 10
    assert len(study.sources) == 5
    assert list(dict.fromkeys(t.dataset.label for t in study.trials)) == [
        "digits(long_tail=100.0)",
        "digits(step=2.0)",
        "digits(noise=0.25)",
        "digits(noise=0.25, noise_kind=asymmetric)",
        "digits(per_class=20)",
    ]


def test_the_inputs_of_noisy_labels_are_the_same_inputs() -> None:
    clean, noisy, fewer = load(Wine(), 0), load(Wine(noise=0.3), 0), load(Wine(per_class=20), 0)
    assert clean.inputs == noisy.inputs != fewer.inputs
    assert clean.content != noisy.content


def test_every_seed_of_a_grid_has_the_same_variant() -> None:
    dataset = Digits(long_tail=10, noise=0.2)
    assert load(dataset, 0).content == load(dataset, 7).content


def test_the_same_data_at_another_path_have_the_same_variant(tmp_path: Path) -> None:
    labels = np.arange(40) % 4
    arrays = {"train": np.eye(40), "train_labels": labels, "test": np.eye(40), "test_labels": labels}
    for name in ("one.npz", "two.npz"):
        np.savez(tmp_path / name, allow_pickle=False, **arrays)
    one, two = (load(Arrays(str(tmp_path / name), per_class=5, noise=0.5), 0) for name in ("one.npz", "two.npz"))
    assert one.label != two.label
    assert one.content == two.content


# --- every dataset

OURS = [datasets.get(name) for name in datasets.names() if datasets.get(name).cls.__module__.startswith("albench.")]


@pytest.mark.parametrize("plugin", OURS, ids=lambda plugin: plugin.name)
def test_every_dataset_has_variants_and_checks_them(plugin: Plugin) -> None:
    assert issubclass(plugin.cls, Variants)
    fields = dataclasses.fields(plugin.cls)
    needed: dict[str, Any] = {f.name: "x" for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    with pytest.raises(ValueError, match=r"^noise is 2\.0; "):
        plugin.cls(**needed, noise=2.0)


# --- runs


def test_a_grid_that_asks_for_too_much_is_refused(own_folder: Path) -> None:
    said = [{"name": "wine", "per_class": 500}]
    write_grid(Path("grid.yaml"), datasets=said)
    assert refused() == [
        "datasets[0]: wine: per_class is 500, class 'class_2' has 33 rows in the pool; legal: at most 33"
    ]
    write_grid(Path("grid.yaml"), datasets=[{"name": "wine", "noise": 1.5}])
    assert refused() == ["datasets[0]: wine: noise is 1.5; legal: a share of the labels, at least 0 and below 1"]
    write_grid(Path("grid.yaml"), datasets=[{"name": "wine", "nose": 0.5}])
    (line,) = refused()
    assert line.startswith("datasets[0].nose: unknown parameter of 'wine'; did you mean 'noise'? legal: split, test, ")


def test_a_run_buys_wrong_labels_and_is_scored_on_right_ones(own_folder: Path) -> None:
    everything = {"low": {"initial": 0, "query": 124, "rounds": 1}}
    said = {"name": "wine", "noise": 0.5, "noise_kind": "asymmetric"}
    write_grid(Path("grid.yaml"), datasets=["wine", said], learners=[{"name": "knn", "k": 1}], budgets=everything)
    assert run(Path("grid.yaml"), "out").status == 0
    rounds = RunStore.open(Path("out")).rounds().query("budget == 'low'")
    clean, noisy = rounds.sort_values("dataset").to_dict("records")
    assert [clean["dataset"], noisy["dataset"]] == ["wine", "wine(noise=0.5, noise_kind=asymmetric)"]
    counts = Counter(load(Wine(), 0).split.train_labels.tolist())
    wrong = {c: round(0.5 * counts[c]) for c in range(3)}
    assert clean["class_counts"].tolist() == [counts[c] for c in range(3)]
    assert noisy["class_counts"].tolist() == [counts[c] - wrong[c] + wrong[(c - 1) % 3] for c in range(3)]
    assert noisy["accuracy"] < clean["accuracy"] - 0.2
    assert noisy["dataset"] in invoke("report", "out").out

"""A run's manifest: read as what somebody else may have written, and what becomes of one that is not as ours are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...datasets.reading import plain
from .parts import StorageError

FILE = "manifest.json"
REMEDY = "mend it, or remove it and run the grid again: the trials are kept"


class _Replay(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    of: str


class _Facts(BaseModel):
    """What one writer of a run says; whatever else there is is printed as it is."""

    model_config = ConfigDict(strict=True, extra="allow")

    grid_id: str = ""
    name: str = ""
    run_id: str = ""
    albench: str = ""
    git_commit: str | None = None
    started: str = ""
    python: str = ""
    platform: str = ""
    engine: str = ""
    address: str | None = None
    cpus: int | None = None
    workers: int | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, int | str] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)
    citations: dict[str, str] = Field(default_factory=dict)
    marks: dict[str, list[str]] = Field(default_factory=dict)
    regimes: dict[str, str] = Field(default_factory=dict)
    order: dict[str, list[str]] = Field(default_factory=dict)
    predictions_not_kept: dict[str, str] = Field(default_factory=dict)
    replay: _Replay | None = None


class _Manifest(_Facts):
    earlier: list[_Facts] = Field(default_factory=list)


def read(directory: Path) -> dict[str, Any] | None:
    """Return the manifest of a run as it can be printed, None where there is none; its fields may still be wrong.

    Raises `StorageError`, one line, when it cannot be read or is no JSON object.
    """
    path = directory / FILE
    try:
        manifest: dict[str, Any] = plain.printable(plain.read_json(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except plain.UnfitError as error:
        raise StorageError(f"{path} is not a manifest of albench: it {error}; {REMEDY}") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    return manifest


def check(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise `StorageError`, one line, when a field of the manifest has another type than albench writes."""
    if faults := _faults(manifest):
        field, why = next(iter(faults.items()))
        raise StorageError(f"{directory / FILE} is not a manifest of albench: {field}: {why}; {REMEDY}")


def sound(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a manifest without what has another type than albench writes, and the keys of that.

    In place of an earlier manifest that is none stands an empty one: that there was one is known.
    """
    wrong = sorted({field.partition(".")[0] for field in _faults(manifest)})
    kept = {key: value for key, value in manifest.items() if key not in wrong}
    if "earlier" in wrong:
        past = manifest["earlier"] if isinstance(manifest["earlier"], list) else [None]
        kept["earlier"] = [sound(each)[0] if isinstance(each, dict) else {} for each in past]
    return kept, wrong


def _faults(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with each field, by its place (``versions.strategy margin``)."""
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        return {".".join(map(str, e["loc"])): e["msg"] for e in error.errors(include_url=False, include_input=False)}
    return {}

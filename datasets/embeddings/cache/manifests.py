"""What the manifests of the cache hold, field by field: one that came with a bundle may be anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

Count = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
ArrayName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
"""It becomes the name of a file: no way out of the folder."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _File(_Strict):
    shape: list[Count]
    dtype: str
    bytes: Count
    sha256: Hash


class Made(_Strict):
    """The plugin that made something, with its parameters."""

    name: str
    label: str
    params: dict[str, Any]


class About(_Strict):
    """Of what a training is."""

    dataset: Made
    encoder: Made


class Folder(_Strict):
    """What every folder of arrays says of itself."""

    axes: ClassVar[Mapping[str, int]] = {}
    fingerprint: Hash
    files: dict[str, _File]

    @field_validator("files")
    @classmethod
    def _whole(cls, files: dict[str, _File]) -> dict[str, _File]:
        for name, axes in cls.axes.items():
            if name not in files or len(files[name].shape) != axes:
                raise ValueError(f"{name} is no array with {axes} axes")
        return files


class Images(Folder):
    """The images of a dataset."""

    axes = {"train.npy": 4, "test.npy": 4}
    dataset: Made


class Views(Folder, About):
    """Transformed views of a pool, as an encoder sees them."""

    axes = {"views.npy": 4}


class Artefact(Folder):
    """What was derived from an embedding, by ``key``; ``content`` is of which features."""

    key: str
    content: str = ""
    arrays: list[ArrayName]


class _Quality(_Strict):
    model_config = ConfigDict(strict=True, extra="forbid")

    nearest_accuracy: Share
    linear_accuracy: Share
    effective_dimension: float
    nearest_rows: Count
    linear_rows: Count
    dimension_rows: Count
    seconds: float


class Embedding(Folder, About):
    """An embedded dataset."""

    axes = {"train.npy": 2, "train_labels.npy": 1, "test.npy": 2, "test_labels.npy": 1}
    class_names: list[str]
    quality: _Quality
    seconds: float
    origin: dict[str, str | dict[str, str]] = Field(default_factory=dict)


def fault(form: type[BaseModel], manifest: Mapping[str, Any]) -> str:
    """Return the first field that is not as albench writes it, and why; nothing when all are."""
    try:
        form.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""

"""Small pictures, and archives of them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping

from PIL import Image

from albench.datasets.reading.pictures import FORMATS

NO_IMAGE = f"not an image ({', '.join(FORMATS)})"
"""Why a file is refused that is none."""


def jpeg(value: int, size: tuple[int, int] = (12, 9)) -> bytes:
    """Return a grey picture; its pixels decode to ``value`` give or take 1."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()

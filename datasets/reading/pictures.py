"""One encoded image -> its pixels. The bytes are a stranger's: which formats, sizes and depths are meant."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager, closing, nullcontext
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ...benchmark.text import reason
from .sources import UnreadableError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Resize = Literal["crop", "stretch", "none"]
"""How an image becomes H x W pixels.

``crop``: the shorter side to the size (H = W), bicubic with antialias, and the middle of the longer one: the pixels of
torchvision's ``Resize(size, BICUBIC)`` and ``CenterCrop(size)``. ``stretch``: both sides, bilinear. ``none``: it has so
many already.
"""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What pictures come in, each decoded in this process. Pillow knows fifty more: EPS would start Ghostscript."""

PIXELS = 2**26
"""Pixels (8192 x 8192) above which an image is refused, as read and as resized: some kilobytes can claim billions."""

_LARGE = 2**24
"""Pixels above which images are decoded one at a time: several of them would take gigabytes."""
_ONE_LARGE = Lock()

_DEEP_AVIF = re.compile(rb"av1C..[\x40-\x7f\xc0-\xff]", re.DOTALL)  # the flag high_bitdepth: 10 or 12


def decoded(content: bytes, pixels: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
    """Decode one image to (H, W, channels), or raise `UnreadableError`; ``none`` leaves the size as it is.

    Of an animation it is the first image. Transparency is dropped, EXIF rotation is not applied.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  only needed where images are read

    if not content:
        raise UnreadableError("is empty")
    try:
        image = Image.open(io.BytesIO(content), formats=_formats())
        _check(image, content)
        with _turn(image.size), closing(image):
            array = np.asarray(_resized(_plain(image, "RGB" if pixels[2] == 3 else "L"), pixels, resize))
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(f"not an image ({', '.join(FORMATS)})") from None
    except Exception as error:  # each decoder has exceptions of its own
        raise UnreadableError(f"damaged ({reason(error)})") from error
    return array if array.ndim == 3 else array[..., None]


@cache
def _formats() -> list[str]:
    """Return those of `FORMATS` that this Pillow can read: AVIF came with version 11.3."""
    from PIL import Image  # noqa: PLC0415  only needed where images are read

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check(image: ImageFile, content: bytes) -> None:
    """Raise `UnreadableError` for an image whose pixels are too many, too deep or only a part of what is in it."""
    _check_pixels(image.size, "it has")
    if _is_deep(image, content):  # converting would cut the values off at 255, or to their upper 8 bits
        raise UnreadableError(f"more than 8 bits per channel (mode {image.mode}); convert it to 8, or give arrays")
    if image.format == "TIFF" and getattr(image, "is_animated", False):
        raise UnreadableError("a TIFF of several pages; give each page as a file")


def _check_pixels(size: tuple[int, int], what: str) -> None:
    width, height = size
    if width * height > PIXELS:
        raise UnreadableError(f"{what} {width} x {height} pixels; at most {PIXELS:,} are decoded")


def _is_deep(image: ImageFile, content: bytes) -> bool:
    """Say whether an image has more than 8 bits per channel. Pillow's mode tells for grey, not for colour."""
    from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile  # noqa: PLC0415  only needed where images are read

    if image.mode.startswith(("I", "F")):
        return True
    if isinstance(image, TiffImageFile):
        return any(bits > 8 for bits in image.tag_v2.get(BITSPERSAMPLE, (1,)))
    match image.format:
        case "AVIF":
            return _DEEP_AVIF.search(content) is not None
        case "PNG" | "PPM":
            return any(_is_deep_raw(tile[3]) for tile in image.tile)
        case _:
            return False


def _is_deep_raw(how: str | tuple[str | int, ...] | None) -> bool:
    """Take what a decoder is told: ``"RGB;16B"``, or a mode and the largest value, ``("RGB", 4095)``."""
    return (isinstance(how, str) and ";16" in how) or (isinstance(how, tuple) and int(how[1]) > 255)


def _turn(size: tuple[int, int]) -> AbstractContextManager[object]:
    return _ONE_LARGE if size[0] * size[1] > _LARGE else nullcontext()


def _plain(image: Image, mode: str) -> Image:
    """Return an image in a mode, itself where it has that already."""
    if image.mode == mode:
        return image
    if "transparency" in image.info:  # Pillow warns of some kinds of it on the way to RGB
        image = image.convert("RGBA")
    return image.convert(mode)


def _resized(picture: Image, pixels: tuple[int, int, int], resize: Resize) -> Image:
    from PIL import Image  # noqa: PLC0415  only needed where images are read

    height, width, _ = pixels
    if resize == "stretch":
        _check_pixels((width, height), "resized it would have")
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    if resize == "none":
        return picture
    shorter = min(picture.size)
    wide, high = (height if side == shorter else int(height * side / shorter) for side in picture.size)
    _check_pixels((wide, high), "resized, before its middle is cut out, it would have")
    left, top = round((wide - height) / 2), round((high - height) / 2)
    picture = picture.resize((wide, high), Image.Resampling.BICUBIC)
    return picture.crop((left, top, left + height, top + height))

"""What an image may be: formats, depths and sizes, one by one; everything else is a line with the reason."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.pictures import NO_IMAGE, jpeg

from albench.datasets.reading import pictures, sources
from albench.datasets.reading.pictures import decoded
from albench.datasets.reading.sources import UnreadableError

NOISE = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
ASK = (7, 9, 3)


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(pixels: NDArray[Any], colour: int, bits: int, size: tuple[int, int] | None = None) -> bytes:
    """Return a PNG; ``size`` (width, height) is what it claims to be."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", *(size or (width, height)), bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pixels: NDArray[np.uint16], planar: int = 1) -> bytes:
    """Return a TIFF of 16-bit colour, one strip (planar: one per channel)."""
    height, width, _ = pixels.shape
    planes = [pixels[..., c] for c in range(3)] if planar == 2 else [pixels]
    data = b"".join(plane.astype("<u2").tobytes() for plane in planes)
    n, each, at = len(planes), len(data) // len(planes), 8
    extra = at + len(data)
    bits, offsets, counts = extra, extra + 6, extra + 6 + 4 * n
    tags: list[tuple[int, int, int, int]] = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, n, offsets if n > 1 else at), (277, 3, 1, 3), (278, 3, 1, height),
        (279, 4, n, counts if n > 1 else len(data)), (284, 3, 1, planar),
    ]  # fmt: skip
    tail = struct.pack("<3H", 16, 16, 16) + struct.pack(f"<{n}I", *(at + i * each for i in range(n)))
    tail += struct.pack(f"<{n}I", *[each] * n)
    head = b"II*\0" + struct.pack("<I", extra + len(tail))
    return (
        head + data + tail + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags) + b"\0" * 4
    )


def reason(content: bytes, ask: tuple[int, int, int] = ASK, how: pictures.Resize = "none") -> str:
    with pytest.raises(UnreadableError) as caught:
        decoded(content, ask, how)
    return str(caught.value)


IMAGE = Image.fromarray(NOISE)
GREY = IMAGE.convert("L")
PALETTE = IMAGE.quantize(16)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(IMAGE, "PNG"), IMAGE),
        (encoded(IMAGE, "BMP"), IMAGE),
        (encoded(IMAGE, "PPM"), IMAGE),
        (encoded(IMAGE, "TIFF"), IMAGE),
        (encoded(IMAGE, "WEBP", lossless=True), IMAGE),
        (encoded(GREY, "PNG"), GREY.convert("RGB")),
        (encoded(GREY.convert("LA"), "PNG"), GREY.convert("RGB")),
        (encoded(IMAGE.convert("RGBA"), "PNG"), IMAGE),
        (encoded(IMAGE, "PNG", transparency=(1, 2, 3)), IMAGE),
        (encoded(PALETTE, "PNG"), PALETTE.convert("RGB")),
        (encoded(PALETTE, "PNG", transparency=bytes(range(16))), PALETTE.convert("RGB")),  # Pillow warns of these
        (encoded(PALETTE, "PNG", transparency=3), PALETTE.convert("RGB")),
        (encoded(IMAGE.convert("1"), "PNG"), IMAGE.convert("1").convert("RGB")),
        (encoded(IMAGE.convert("CMYK"), "TIFF"), IMAGE.convert("CMYK").convert("RGB")),
        (encoded(PALETTE, "GIF", save_all=True, append_images=[Image.new("RGB", (9, 7))]), PALETTE.convert("RGB")),
        (encoded(IMAGE, "PNG", save_all=True, append_images=[Image.new("RGB", (9, 7))]), IMAGE),
        (encoded(IMAGE, "WEBP", save_all=True, lossless=True, append_images=[Image.new("RGB", (9, 7))]), IMAGE),
        (encoded(IMAGE, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"), IMAGE),
    ],
)
def test_pictures_of_8_bits_are_read_exactly(content: bytes, expected: Image.Image) -> None:
    assert np.array_equal(decoded(content, ASK, "none"), np.asarray(expected))
    assert (
        np.array_equal(
            decoded(content, (7, 9, 1), "none")[..., 0],
            np.asarray(Image.open(io.BytesIO(content)).convert("RGBA").convert("L")),
        )
        or Image.open(io.BytesIO(content)).mode == "CMYK"
    )


def test_what_jpeg_and_avif_lose_is_all_that_is_lost() -> None:
    for kind, image in (("JPEG", IMAGE), ("JPEG", IMAGE.convert("CMYK")), ("AVIF", IMAGE)):
        content = encoded(image, kind, quality=95)
        assert np.array_equal(decoded(content, ASK, "none"), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


DEEP = np.random.default_rng(1).integers(1000, 1200, (7, 9, 4)).astype(np.uint16)


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (png(DEEP[..., :3], 2, 16), "RGB"),
        (png(DEEP, 6, 16), "RGBA"),
        (png(DEEP[..., :2], 4, 16), "RGBA"),
        (png(DEEP[..., 0], 0, 16), "I;16"),
        (tiff(DEEP[..., :3]), "RGB"),
        (tiff(DEEP[..., :3], planar=2), "RGB"),
        (encoded(Image.fromarray(DEEP[..., 0]), "TIFF"), "I;16"),
        (encoded(Image.fromarray(DEEP[..., 0].astype(np.float32)), "TIFF"), "F"),
        (encoded(Image.fromarray(DEEP[..., 0].astype(np.int32)), "TIFF"), "I"),
        (b"P6 9 7 65535\n" + DEEP[..., :3].astype(">u2").tobytes(), "RGB"),
        (b"P6 9 7 4095\n" + DEEP[..., :3].astype(">u2").tobytes(), "RGB"),
        (b"P3 9 7 1023\n" + b" ".join(b"%d" % v for v in DEEP[..., :3].ravel()), "RGB"),
        (b"P5 9 7 65535\n" + DEEP[..., 0].astype(">u2").tobytes(), "I"),
        (b"Pf 9 7 -1.0\n" + DEEP[..., 0].astype("<f4").tobytes(), "F"),
    ],
)  # fmt: skip
def test_more_than_8_bits_are_refused_never_cut_off(content: bytes, mode: str) -> None:
    assert reason(content) == f"more than 8 bits per channel (mode {mode}); convert it to 8, or give arrays"


def test_an_avif_says_its_depth_in_a_flag() -> None:
    content = encoded(IMAGE, "AVIF")
    with Image.open(io.BytesIO(content)) as image:
        assert not pictures._is_deep(image, content)
        assert pictures._is_deep(image, content.replace(b"av1C\x81\x00\x0c", b"av1C\x81\x00\x4c"))


def test_a_small_largest_value_is_white() -> None:
    """A PPM says itself what its largest value is, and Pillow takes that for white."""
    assert decoded(b"P5 2 1 15\n\x0f\x05", (1, 2, 1), "none").tolist() == [[[255], [85]]]


@pytest.mark.parametrize(
    ("start", "of"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{ } loop\n%%EOF\n", "EPS"),
        (b"%PDF-1.4\n", "PDF"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), "WMF"),
        (b"SIMPLE  =                    T" + b" " * 2850, "FITS"),
        (b"8BPS\0\1" + bytes(40), "PSD"),
        (encoded(IMAGE, "ICO"), "ICO"),
        (encoded(IMAGE, "TGA"), "TGA"),
        (encoded(IMAGE, "JPEG2000"), "JPEG2000"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    ],
)
def test_other_formats_are_not_opened(start: bytes, of: str) -> None:
    assert reason(start) == NO_IMAGE, of


def test_no_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EPS called .png starts Ghostscript where Pillow may look for one."""
    log, gs = tmp_path / "log", tmp_path / "bin" / "gs"
    gs.parent.mkdir()
    gs.write_text(f"#!/bin/sh\necho started >> {log}\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gs.parent}:{os.environ['PATH']}")
    code = "import sys; from albench.datasets.reading.pictures import decoded\n"
    code += "decoded(sys.stdin.buffer.read(), (8, 8, 3), 'none')"
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{ } loop\n%%EOF\n"
    done = subprocess.run([sys.executable, "-c", code], input=eps, capture_output=True, check=False)
    assert NO_IMAGE.encode() in done.stderr
    assert not log.exists()


def test_a_tiff_of_several_pages_is_refused() -> None:
    content = encoded(IMAGE, "TIFF", save_all=True, append_images=[IMAGE, IMAGE])
    assert reason(content) == "a TIFF of several pages; give each page as a file"


def damaged_avif() -> bytes:
    content = bytearray(encoded(Image.fromarray(np.tile(NOISE, (4, 4, 1))), "AVIF"))
    start = content.index(b"mdat") + 8
    content[start : start + 40] = bytes(40)
    return bytes(content)


WHOLE = encoded(IMAGE, "PNG")
TEXT = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26)))
"""64 MiB of text in 64 KiB: Pillow's own bound raises a ValueError of its own."""


@pytest.mark.parametrize(
    "content",
    [
        damaged_avif(),  # RuntimeError
        encoded(IMAGE, "AVIF")[:-9],
        jpeg(7)[:-40],
        WHOLE[:-30],
        WHOLE[:60] + b"\0\0\0\0" + WHOLE[64:],
        WHOLE[:33] + TEXT + WHOLE[33:],
        encoded(IMAGE, "WEBP")[:40],
        encoded(IMAGE, "TIFF")[:-200],
        encoded(PALETTE, "GIF")[:-20],
        encoded(IMAGE, "BMP")[:-20],
        b"P6 9 7 255\n" + bytes(10),
        b"P6 9 999999999999 255\n" + bytes(10),
        b"P5 9 7 0\n" + bytes(63),
        b"P3 9 7 255\n 1 2 x",
    ],
)
def test_damaged_images_are_a_reason_whatever_the_decoder_says(content: bytes) -> None:
    assert reason(content)


def test_an_empty_file_is_called_so() -> None:
    assert reason(b"") == "is empty"


def test_a_decoder_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    assert reason(WHOLE) == "damaged (MemoryError)"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_before_they_are_unpacked() -> None:
    at_most = "pixels; at most 67,108,864 are decoded"
    assert reason(png(NOISE, 2, 8, (9000, 9000))) == f"it has 9000 x 9000 {at_most}"
    assert reason(b"P5 10000 10000 255\n") == f"it has 10000 x 10000 {at_most}"
    assert reason(png(NOISE, 2, 8, (2**31 - 1, 2**31 - 1))).startswith("damaged (Image size (4611686014132420609")
    strip = encoded(Image.new("L", (1, 60_000)), "PNG")
    found = reason(strip, (256, 256, 3), "crop")
    assert found == f"resized, before its middle is cut out, it would have 256 x 15360000 {at_most}"
    assert decoded(strip, (4, 4, 1), "stretch").shape == (4, 4, 1)


@pytest.mark.perf
def test_large_images_are_decoded_in_turn() -> None:
    """Two threads, each with an image of 2^26 pixels: together they need no more than one alone."""
    code = """
import io, resource, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
from albench.datasets.reading.pictures import decoded
content = sys.stdin.buffer.read()
with ThreadPoolExecutor(2) as threads:
    print([a.shape for a in threads.map(lambda _: decoded(content, (8, 8, 3), "stretch"), range(2))])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    image = png(np.zeros((8192, 8192, 4), np.uint8), 6, 8)
    done = subprocess.run([sys.executable, "-c", code], input=image, capture_output=True, check=True)
    shapes, peak = done.stdout.decode().splitlines()
    assert shapes == str([(8, 8, 3)] * 2)
    assert int(peak) < 1000  # MiB


def test_reading_at_once_is_in_turn_for_large_images_only() -> None:
    assert isinstance(pictures._turn((4096, 4097)), type(threading.Lock()))
    assert not isinstance(pictures._turn((4096, 4096)), type(threading.Lock()))
    assert sources.FILE_BYTES >= 3 * pictures.PIXELS

"""Views of a batch against those of one image after the other: numpy's crops, PIL's distortions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from albench.benchmark.learners.networks import resized, strong
from albench.benchmark.learners.networks.views import NUMBERS, Views

PIL: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    "autocontrast": lambda image, level, sign: ImageOps.autocontrast(image),
    "brightness": lambda image, level, sign: ImageEnhance.Brightness(image).enhance(level * 0.09 + 0.05),
    "colour": lambda image, level, sign: ImageEnhance.Color(image).enhance(level * 0.09 + 0.05),
    "contrast": lambda image, level, sign: ImageEnhance.Contrast(image).enhance(level * 0.09 + 0.05),
    "equalise": lambda image, level, sign: ImageOps.equalize(image),
    "identity": lambda image, level, sign: image,
    "posterise": lambda image, level, sign: ImageOps.posterize(image, int(level * 4 / 10) + 4),
    "rotate": lambda image, level, sign: image.rotate(sign * int(level * 30 / 10)),
    "sharpness": lambda image, level, sign: ImageEnhance.Sharpness(image).enhance(level * 0.09 + 0.05),
    "shear-x": lambda image, level, sign: moved(image, (1, sign * level * 0.03, 0, 0, 1, 0)),
    "shear-y": lambda image, level, sign: moved(image, (1, 0, 0, sign * level * 0.03, 1, 0)),
    "solarise": lambda image, level, sign: ImageOps.solarize(image, 256 - int(level * 25.6)),
    "move-x": lambda image, level, sign: moved(image, (1, 0, int(sign * level * 0.03 * image.width), 0, 1, 0)),
    "move-y": lambda image, level, sign: moved(image, (1, 0, 0, 0, 1, int(sign * level * 0.03 * image.height))),
}


def moved(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def pictures(n: int, channels: int = 3) -> NDArray[np.uint8]:
    """Smooth blobs, of other values in every channel, (n, 24, 32, channels)."""
    small = np.random.default_rng(0).integers(20, 230, size=(n * channels, 6, 8), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((32, 24), Image.Resampling.BICUBIC)) for one in small]
    return np.stack(large).reshape(n, channels, 24, 32).transpose(0, 2, 3, 1).copy()


@pytest.mark.parametrize("kind", strong.KINDS)
def test_a_distortion_is_that_of_pil(kind: str) -> None:
    images, level = pictures(18), np.tile(np.arange(1, 10), 2)
    sign = np.repeat([-1, 1], 9)
    kinds = torch.full((18,), strong.KINDS.index(kind))
    found = strong.distorted(
        torch.from_numpy(images).float(), kinds, torch.from_numpy(level), torch.from_numpy(sign).float()
    )
    expected = [
        np.asarray(PIL[kind](Image.fromarray(image), int(size), int(way)))
        for image, size, way in zip(images, level, sign, strict=True)
    ]
    far = np.abs(found.numpy() - np.stack(expected).astype(float))
    assert (far > 1).mean() < 0.005  # where a pixel lies on an edge between two
    assert np.array_equal(found, found.floor())


def test_grey_images_have_no_colour_and_one_value_is_left_alone() -> None:
    grey = torch.from_numpy(pictures(14, channels=1)).float()
    every = torch.arange(14)
    found = strong.distorted(grey, every, torch.full((14,), 5), torch.ones(14))
    assert found.shape == grey.shape
    flat = torch.full((14, 8, 8, 3), 77.0)
    found = strong.distorted(flat, every, torch.full((14,), 5), torch.ones(14))
    for kind in ("autocontrast", "equalise", "identity", "colour", "contrast", "sharpness"):
        assert (found[strong.KINDS.index(kind)] == 77).all(), kind


def test_half_of_the_distortions_are_left_out_and_a_square_is_grey() -> None:
    images = torch.from_numpy(pictures(4))
    numbers = torch.zeros(4, strong.NUMBERS)  # autocontrast, left out twice; the square in the corner
    out = strong.strong(images, numbers)
    assert (out[:, :17, :17] == 127).all()
    assert torch.equal(out[:, 17:], images[:, 17:].float())
    numbers[:, 3] = 0.5
    assert not torch.equal(strong.strong(images, numbers)[:, 17:], images[:, 17:].float())
    middle = torch.cat([numbers[:, :8], torch.full((4, 2), 0.5)], dim=1)
    assert (strong.strong(images, middle)[:, 4:21, 8:25] == 127).all()


def test_strong_views_are_of_crops_out_of_a_mirrored_margin() -> None:
    images = pictures(6)
    numbers = torch.rand(6, NUMBERS["strong"], generator=torch.Generator().manual_seed(0))
    numbers[:, 6] = numbers[:, 10] = 0.0  # nothing but the square
    found = Views(torch.from_numpy(images), "strong").of(torch.arange(6), numbers)
    free = found != 127
    for image, view, seen, (down, right, flip) in zip(images, found, free, numbers[:, :3].tolist(), strict=True):
        around = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect")
        crop = around[int(down * 9) : int(down * 9) + 24, int(right * 9) : int(right * 9) + 32]
        expected = crop[:, ::-1] if flip < 0.5 else crop
        assert np.array_equal(view[seen], torch.from_numpy(expected.copy())[seen])
    assert free.float().mean() > 0.6


def test_views_are_made_of_images_of_one_pixel_too() -> None:
    for kind, K in NUMBERS.items():
        views = Views(torch.full((2, 3, 1, 1), 9, dtype=torch.uint8), kind)
        assert views.of(torch.tensor([1, 0, 1]), torch.rand(3, K)).shape == (3, 3, 1, 1)


def test_a_mirrored_margin_may_be_larger_than_the_image() -> None:
    images = np.arange(2 * 3 * 24, dtype=np.uint8).reshape(2, 3, 24, 1)
    numbers = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))
    found = Views(torch.from_numpy(images), "crop", mirrored=True).of(torch.arange(40) % 2, numbers)
    around = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
    for i, (down, right) in enumerate((numbers * 7).long().tolist()):
        assert np.array_equal(found[i], around[i % 2, down : down + 3, right : right + 24])


def test_resized_parts_are_those_of_pil() -> None:
    images = pictures(40)
    numbers = torch.rand(40, NUMBERS["resized-flip"], generator=torch.Generator().manual_seed(0))
    found = Views(torch.from_numpy(images), "resized-flip").of(torch.arange(40), numbers)
    boxes = resized.boxes(24, 32, numbers[:, 1:]).tolist()
    assert len({(high, wide) for _, _, high, wide in boxes}) > 20
    for image, view, (top, left, high, wide), flip in zip(images, found, boxes, numbers[:, 0] < 0.5, strict=True):
        part = Image.fromarray(image[top : top + high, left : left + wide])
        expected = np.asarray(part.resize((32, 24), Image.Resampling.BILINEAR)).astype(float)
        assert np.abs(view.numpy() - (expected[:, ::-1] if flip else expected)).max() <= 1


def test_a_part_is_the_first_that_fits() -> None:
    """As torchvision's `get_params` finds it."""
    numbers = torch.rand(500, resized.NUMBERS, generator=torch.Generator().manual_seed(1))
    numbers[0, 0:20:2], numbers[0, 1:20:2] = 0.99, 0.0  # too high, ten times over
    for row, box in zip(numbers.tolist(), resized.boxes(24, 32, numbers).tolist(), strict=True):
        expected = (24, 32)
        for k in range(10):
            area, form = (0.5 + 0.5 * row[2 * k]) * 24 * 32, (4 / 3) ** (2 * row[2 * k + 1] - 1)
            high, wide = round((area / form) ** 0.5), round((area * form) ** 0.5)
            if high <= 24 and wide <= 32:
                expected = (high, wide)
                break
        top, left, *size = box
        assert tuple(size) == expected
        assert (top, left) == (int(row[-2] * (25 - size[0])), int(row[-1] * (33 - size[1])))
        assert size[0] * size[1] >= 0.45 * 24 * 32

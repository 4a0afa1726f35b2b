"""Weak and strong views of images: what is drawn once, and what becomes of an image."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from albench.datasets.embeddings.networks.transforms import _OPERATIONS, Transformed, changed, cover, moved

N, V = 12, 2
STRENGTHS = {1: ImageEnhance.Brightness, 2: ImageEnhance.Color, 3: ImageEnhance.Contrast, 8: ImageEnhance.Sharpness}


def pictures(channels: int = 3, side: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (N, side, side, channels), dtype=np.uint8)


def drawn(v: int) -> np.random.Generator:
    return np.random.default_rng([1, v])


def test_a_view_does_not_depend_on_who_asks_for_what_or_on_how_many_there_are() -> None:
    images = pictures()
    views = Transformed(images, V, drawn)
    whole = views[:]
    assert (whole.shape, whole.dtype, len(views)) == ((2 * V * N, 16, 16, 3), np.dtype(np.uint8), 2 * V * N)
    some = np.array([40, 3, 17, 3, 30])
    np.testing.assert_array_equal(views[some], whole[some])
    np.testing.assert_array_equal(views[5:29], whole[5:29])
    one = Transformed(images, 1, drawn)[:].reshape(2, 1, *images.shape)
    np.testing.assert_array_equal(one, whole.reshape(2, V, *images.shape)[:, :1])
    np.testing.assert_array_equal(images, pictures())


def test_weak_views_are_moved_and_mirrored_images_and_grey_ones_are_not_mirrored() -> None:
    for channels in (1, 3):
        images = pictures(channels)
        weak = Transformed(images, V, drawn)[: V * N].reshape(V, *images.shape)
        found = set()
        for view in weak:
            for image, original in zip(view, images, strict=True):
                padded = np.pad(original, ((2, 2), (2, 2), (0, 0)), mode="reflect")
                crops = {
                    (i, j, mirrored): padded[i : i + 16, j : j + 16][:, :: -1 if mirrored else 1]
                    for i in range(5)
                    for j in range(5)
                    for mirrored in (False, True)
                }
                (which,) = (key for key, crop in crops.items() if np.array_equal(crop, image))
                found.add(which)
        assert {mirrored for _, _, mirrored in found} == ({False, True} if channels == 3 else {False})
        assert len({(i, j) for i, j, _ in found}) > 10


@pytest.mark.parametrize("operation", range(len(_OPERATIONS)))
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_gives_an_image_at_both_ends_of_its_range(operation: int, channels: int) -> None:
    image = pictures(channels)[0]
    for strength in (0.0, 0.999):
        found = changed(image, np.array([operation]), np.array([strength]))
        assert (found.shape, found.dtype) == (image.shape, np.dtype(np.uint8))


@pytest.mark.parametrize("operation", STRENGTHS)
def test_colours_change_as_pillow_changes_them(operation: int) -> None:
    image, strength = pictures()[0], 0.4
    found = changed(image, np.array([operation]), np.array([strength])).astype(int)
    expected = np.asarray(STRENGTHS[operation](Image.fromarray(image)).enhance(0.05 + 0.9 * strength)).astype(int)
    inner = (slice(1, -1), slice(1, -1))
    assert np.abs(found[inner] - expected[inner]).max() <= 2


def test_posterize_solarize_equalize_and_contrast_are_pillows() -> None:
    image = pictures()[0]
    of_pillow = Image.fromarray(image)
    for operation, expected in (
        (0, ImageOps.autocontrast(of_pillow)),
        (6, ImageOps.posterize(of_pillow, 6)),
        (11, ImageOps.solarize(of_pillow, 128)),
    ):
        found = changed(image, np.array([operation]), np.array([0.5])).astype(int)
        assert np.abs(found - np.asarray(expected).astype(int)).max() <= 1


def test_what_is_covered_is_one_grey_square() -> None:
    image = pictures()[0]
    covered = image.copy()
    cover(covered, 0.5, 0.5, 0.9)
    changed_at = (covered != image).any(axis=2)
    assert (covered[changed_at] == (125, 123, 114)).all()
    assert not changed_at[:6].any()
    assert changed_at[6:10, 12:].mean() > 0.9
    assert not changed_at[10:].any()


def test_nothing_moves_where_there_is_no_room() -> None:
    images = pictures(side=4)
    np.testing.assert_array_equal(moved(images, np.full((N, 2), 0.99), np.zeros(N, bool)), images)

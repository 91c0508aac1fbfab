import numpy as np
import pytest

from sarwater.report.images import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    LAND,
    NO_DATA,
    OTHER_WATER,
    WATER,
    class_color,
    class_picture,
    error_map,
    gray_view,
    rgb,
    sar_composite,
    stretch,
)
from sarwater.types import AnyArray, Chip, Grid, Units


def chip(
    image: AnyArray, valid: AnyArray | None = None, bands: str = "VV VH", units: Units = Units.DB
) -> Chip:
    shape = image.shape[1:]
    usable = np.full(shape, True) if valid is None else valid
    names = tuple(bands.split())
    return Chip("c", "d", names, units, image.astype(np.float32), usable, None, Grid(*shape))


def test_stretch_goes_from_the_2nd_to_the_98th_percentile() -> None:
    band = np.random.default_rng(0).normal(-12, 4, (50, 50)).astype(np.float32)
    valid = band < 0
    gray = stretch(band, valid)
    low, high = np.percentile(band[valid], [2, 98])
    assert gray.dtype == np.uint8
    assert (gray[valid & (band <= low)] == 0).all()
    assert (gray[valid & (band >= high)] == 255).all()
    middle = valid & (band > low) & (band < high)
    expected = (band[middle] - low) / (high - low) * 255
    assert np.abs(gray[middle] - expected).max() <= 0.51
    assert (gray[~valid] == 0).all()


def test_stretch_of_a_constant_and_of_nothing() -> None:
    band = np.full((3, 3), 7, np.float32)
    assert (stretch(band, np.full((3, 3), True)) == 128).all()
    assert (stretch(band, np.full((3, 3), False)) == 0).all()


def test_composites() -> None:
    generator = np.random.default_rng(1)
    image = generator.normal(-12, 4, (4, 20, 20)).astype(np.float32)
    valid = np.full((20, 20), True)
    valid[0, 0] = False
    two = sar_composite(chip(image[:2], valid))
    assert np.array_equal(two[1:, :, 0], stretch(image[0], valid)[1:])
    assert np.array_equal(two[1:, :, 1], stretch(image[1], valid)[1:])
    one = sar_composite(chip(image[:1], valid, "VV"))
    assert (one[1:, :, 0] == one[1:, :, 2]).all()
    optical = sar_composite(chip(image, valid, "blue nir red green"))
    assert np.array_equal(optical[1:, :, 0], stretch(image[2], valid)[1:])
    assert np.array_equal(optical[1:, :, 2], stretch(image[0], valid)[1:])


def test_linear_power_is_shown_in_decibel() -> None:
    decibel = np.random.default_rng(2).normal(-12, 4, (1, 20, 20))
    linear = chip(10 ** (decibel / 10), None, "VV", Units.LINEAR)
    difference = gray_view(linear).astype(int) - gray_view(chip(decibel, None, "VV"))
    assert np.abs(difference).max() <= 1


def test_each_kind_of_error_has_its_color() -> None:
    target = np.array([[0, 0, 1, 1, 2, 255]], np.uint8)
    predicted = np.array([[0, 1, 0, 1, 1, 1]], np.uint8)
    gray = np.full((1, 6), 200, np.uint8)
    picture = error_map(gray, target, predicted, target != 255)
    assert len(set(picture[0, 0].tolist())) == 1
    colors = [FALSE_POSITIVE, FALSE_NEGATIVE, WATER, OTHER_WATER]
    assert [tuple(pixel) for pixel in picture[0, 1:5].tolist()] == [rgb(c) for c in colors]
    assert tuple(picture[0, 5].tolist()) in {rgb(NO_DATA), rgb("#D2D2D2")}


def test_class_pictures() -> None:
    picture = class_picture(
        np.array([[0, 1, 255, 1]], np.uint8), np.array([[True, True, True, False]])
    )
    assert tuple(picture[0, 0].tolist()) == rgb(LAND)
    assert tuple(picture[0, 1].tolist()) == rgb(WATER)
    unknown = {rgb(NO_DATA), rgb("#D2D2D2")}
    assert {tuple(picture[0, 2].tolist()), tuple(picture[0, 3].tolist())} <= unknown


@pytest.mark.parametrize("index", range(30))
def test_only_land_has_the_color_of_land(index: int) -> None:
    assert (class_color(index) == LAND) == (index == 0)

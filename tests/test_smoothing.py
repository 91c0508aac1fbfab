"""The median filter against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from sarwater.smoothing import local_median


@pytest.mark.parametrize("side", [1, 3, 5, 11])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (64, 65), (7, 6000)])
def test_it_is_the_median_of_the_pixels_around(side: int, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).gamma(4, size=shape).astype(np.float32)
    image[::3, ::5] = 0  # ties
    before = image.copy()
    found = local_median(image, side)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, ndimage.median_filter(image, side))
    np.testing.assert_array_equal(image, before)


def test_it_takes_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    found = local_median(image, 5)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, ndimage.median_filter(image, 5))

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sarwater.config import AugmentationSettings
from sarwater.training.augmentation import augment
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray, FloatArray, Units

OFF = AugmentationSettings(flips=False, rotations=False)
SIDE = 6


def patch(bands: int = 2, side: int = SIDE) -> tuple[FloatArray, BoolArray, ByteArray]:
    """A patch whose every pixel knows its place: image, valid and target say the same."""
    number = np.arange(side * side).reshape(side, side)
    image = np.stack([number + 1000 * band for band in range(bands)]).astype(np.float32)
    valid = number % 5 != 2
    image[:, ~valid] = 0
    target = np.where(number % 7 == 3, IGNORE, number % 2).astype(np.uint8)
    return image, valid, target


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_image_valid_and_target_move_together(seed: int, flips: bool, rotations: bool) -> None:
    settings = AugmentationSettings(flips=flips, rotations=rotations)
    image, valid, target = patch()
    moved, moved_valid, moved_target = augment(
        image, valid, target, Units.DB, settings, generator(seed)
    )
    number = np.arange(SIDE * SIDE)
    where = moved[0].astype(int)
    known = moved_valid
    np.testing.assert_array_equal(moved[1][known], where[known] + 1000)
    np.testing.assert_array_equal(moved_valid, np.isin(where, number[valid.ravel()]) & known)
    np.testing.assert_array_equal(target.ravel()[where[known]], moved_target[known])
    assert sorted(where[known]) == sorted(image[0][valid].astype(int))
    assert sorted(moved_target.ravel()) == sorted(target.ravel())
    assert (moved[:, ~moved_valid] == 0).all()
    assert moved.flags["C_CONTIGUOUS"]
    assert moved.dtype == np.float32
    assert moved_target.dtype == np.uint8
    assert moved_valid.dtype == np.bool_


def _positions(settings: AugmentationSettings) -> set[bytes]:
    image, valid, target = patch()
    valid[:] = True
    return {
        augment(image, valid, target, Units.DB, settings, generator(seed))[2].tobytes()
        for seed in range(100)
    }


def test_flips_and_rotations_reach_every_symmetry_of_the_square() -> None:
    _, _, target = patch()
    symmetries = {
        np.rot90(flipped, turns).tobytes()
        for flipped in (target, target[::-1])
        for turns in range(4)
    }
    flips = {target[::a, ::b].tobytes() for a in (1, -1) for b in (1, -1)}
    turns = {np.rot90(target, number).tobytes() for number in range(4)}
    assert len(symmetries) == 8
    assert _positions(AugmentationSettings()) == symmetries
    assert _positions(AugmentationSettings(rotations=False)) == flips
    assert _positions(AugmentationSettings(flips=False)) == turns
    assert _positions(OFF) == {target.tobytes()}


def test_nothing_asked_for_changes_nothing() -> None:
    given_ = patch()
    for one, other in zip(augment(*given_, Units.DB, OFF, generator()), given_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("units", Units)
def test_the_arguments_stay_as_they_are(units: Units) -> None:
    settings = AugmentationSettings(gain_db=2, band_gain_db=1, speckle_looks=3)
    arrays = patch()
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)
    augment(*arrays, units, settings, generator(1))
    for one, other in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(one, other)


EVERY_CHANGE = AugmentationSettings(
    flips=False, rotations=False, gain_db=2, band_gain_db=1, speckle_looks=3
)


@pytest.mark.parametrize(
    ("units", "to_units", "from_units"),
    [
        (Units.LINEAR, lambda db: 10 ** (db / 10), lambda x: 10 * np.log10(x)),
        (Units.AMPLITUDE, lambda db: 300 * 10 ** (db / 20), lambda x: 20 * np.log10(x / 300)),
        (Units.BYTE, lambda db: (db + 25) * 8.5, lambda x: x / 8.5 - 25),
    ],
)
def test_the_same_draw_changes_all_units_alike(
    units: Units,
    to_units: Callable[[AnyArray], AnyArray],
    from_units: Callable[[AnyArray], AnyArray],
) -> None:
    decibel = generator(5).uniform(-12, -10, (2, SIDE, SIDE)).astype(np.float32)
    valid = np.ones((SIDE, SIDE), np.bool_)
    target = np.zeros((SIDE, SIDE), np.uint8)
    changed = augment(decibel, valid, target, Units.DB, EVERY_CHANGE, generator(7))[0]
    values = to_units(decibel).astype(np.float32)
    other = augment(values, valid, target, units, EVERY_CHANGE, generator(7))[0]
    assert np.abs(changed - decibel).max() > 1
    np.testing.assert_allclose(from_units(other), changed, atol=1e-3)


def test_bytes_stay_bytes_and_optical_images_keep_their_values() -> None:
    image, valid, target = patch()
    strong = AugmentationSettings(flips=False, rotations=False, gain_db=20, speckle_looks=0.5)
    for seed in range(10):
        byte = augment(image % 256, valid, target, Units.BYTE, strong, generator(seed))[0]
        assert byte.min() >= 0
        assert byte.max() <= 255
        other = augment(image, valid, target, Units.OTHER, strong, generator(seed))[0]
        np.testing.assert_array_equal(other, image)


@pytest.mark.parametrize("units", Units)
def test_invalid_pixels_stay_zero(units: Units) -> None:
    image, valid, target = patch()
    for seed in range(5):
        settings = AugmentationSettings(gain_db=3, band_gain_db=1, speckle_looks=2)
        changed, where, _ = augment(image, valid, target, units, settings, generator(seed))
        assert (changed[:, ~where] == 0).all()
        assert np.isfinite(changed).all()


def test_gains_are_normal_and_shared_or_not_between_bands() -> None:
    image = np.zeros((2, 2, 2), np.float32)
    valid, target = np.ones((2, 2), np.bool_), np.zeros((2, 2), np.uint8)

    def gains(**settings: float) -> AnyArray:
        chosen = AugmentationSettings(flips=False, rotations=False, **settings)
        random = generator(2)
        drawn = [augment(image, valid, target, Units.DB, chosen, random)[0] for _ in range(3000)]
        found = np.stack(drawn)
        assert (found == found[..., :1, :1]).all()
        return found[..., 0, 0]

    common = gains(gain_db=1.5)
    np.testing.assert_array_equal(common[:, 0], common[:, 1])
    own = gains(band_gain_db=0.5)
    both = gains(gain_db=1.5, band_gain_db=0.5)
    assert stats.kstest(common[:, 0] / 1.5, "norm").pvalue > 0.01
    assert stats.kstest(own[:, 1] / 0.5, "norm").pvalue > 0.01
    assert abs(np.corrcoef(own.T)[0, 1]) < 0.05
    assert both[:, 0].std() == pytest.approx(np.hypot(1.5, 0.5), rel=0.05)
    assert np.corrcoef(both.T)[0, 1] == pytest.approx(1.5**2 / (1.5**2 + 0.5**2), abs=0.03)


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
def test_speckle_is_gamma_of_mean_one_and_variance_one_over_looks(looks: float) -> None:
    side = 150
    image = np.full((2, side, side), 0.25, np.float32)
    valid, target = np.ones((side, side), np.bool_), np.zeros((side, side), np.uint8)
    settings = AugmentationSettings(flips=False, rotations=False, speckle_looks=looks)
    speckle = augment(image, valid, target, Units.LINEAR, settings, generator(4))[0] / 0.25
    assert speckle.mean() == pytest.approx(1, rel=0.02)
    assert speckle.var() == pytest.approx(1 / looks, rel=0.05)
    assert stats.kstest(speckle.ravel(), stats.gamma(looks, scale=1 / looks).cdf).pvalue > 0.01
    assert abs(np.corrcoef(speckle[0].ravel(), speckle[1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(speckle[0, :, 1:].ravel(), speckle[0, :, :-1].ravel())[0, 1]) < 0.02


def test_the_seed_decides() -> None:
    def changed(seed: int) -> FloatArray:
        return augment(*patch(), Units.DB, EVERY_CHANGE, generator(seed))[0]

    np.testing.assert_array_equal(changed(3), changed(3))
    assert not np.array_equal(changed(3), changed(4))


@pytest.mark.parametrize("units", [Units.DB, Units.LINEAR, Units.AMPLITUDE, Units.BYTE])
def test_contrast_stretches_each_band_about_its_mean_in_decibels(units: Units) -> None:
    random = generator(3)
    decibel = random.normal(-12, 1, (2, 20, 20))
    to_units: dict[Units, Callable[[AnyArray], AnyArray]] = {
        Units.DB: lambda x: x,
        Units.LINEAR: lambda x: 10 ** (x / 10),
        Units.AMPLITUDE: lambda x: 10 ** (x / 20),
        Units.BYTE: lambda x: (x + 30) * 255 / 30,
    }
    back: dict[Units, Callable[[AnyArray], AnyArray]] = {
        Units.DB: lambda x: x,
        Units.LINEAR: lambda x: 10 * np.log10(x),
        Units.AMPLITUDE: lambda x: 20 * np.log10(x),
        Units.BYTE: lambda x: x * 30 / 255 - 30,
    }
    image = to_units[units](decibel).astype(np.float32)
    valid = np.ones((20, 20), np.bool_)
    valid[0] = False
    image[:, 0] = 0
    settings = AugmentationSettings(flips=False, rotations=False, contrast=0.3)
    target = np.zeros((20, 20), np.uint8)
    factors = []
    for seed in range(200):
        changed, _, _ = augment(image, valid, target, units, settings, generator(seed))
        assert (changed[:, 0] == 0).all()
        for band, before in zip(changed, decibel, strict=True):
            after, before = back[units](band[1:].astype(np.float64)), before[1:]
            assert after.mean() == pytest.approx(before.mean(), abs=1e-2)
            factor = after.std() / before.std()
            np.testing.assert_allclose(
                after - after.mean(), factor * (before - before.mean()), atol=2e-2
            )
            factors.append(np.log(factor))
    assert np.mean(factors) == pytest.approx(0, abs=0.05)
    assert np.std(factors) == pytest.approx(0.3, abs=0.04)

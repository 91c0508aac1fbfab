"""A threshold for one scene, from its own backscatter."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from scipy.special import expit, logit

from sarwater.adaptation.choosing import Choice, choose
from sarwater.adaptation.observation import Observation
from sarwater.adaptation.separation import CAUTION
from sarwater.mapping.inputs import ModelScene
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor, water_probability
from sarwater.types import BoolArray, Chip, FloatArray

FARTHEST = 0.5
"""Log-odds by which a scene may move the threshold: what lies farther off is a scene unlike those
that the model learned from, of which its threshold says more than a division of its own."""

_PIXELS = 1 << 21
"""Pixels that are looked at, in windows spread over the scene."""


def threshold_of_scene(
    predictor: Predictor, scene: ModelScene, group: BandStatistics | None
) -> Choice:
    """Choose the threshold near the model's at which a scene's backscatter falls in two.

    Some two million pixels are looked at, in windows of the model's patch size all over the scene;
    they are always the same. The threshold moves by at most half in log-odds, and stays where the
    backscatter of the pixels above and below is no two classes.

    Args:
        predictor: the model.
        scene: the scene.
        group: its band statistics, where the normalization needs them.

    Raises:
        RasterError: the file cannot be read.
    """
    info, size = predictor.info, predictor.windows.patch_size

    def observed(window: tuple[FloatArray, BoolArray]) -> Observation:
        image, valid = window
        patch = info.normalization.apply(image, valid, group)
        water = water_probability(predictor.engine.predict(patch[None])[0])
        seen = Observation(info.bands, info.units)
        seen.add(Chip("", "", info.bands, info.units, image, valid, None, scene.grid), water)
        return seen

    total = Observation(info.bands, info.units)
    with ThreadPoolExecutor(predictor.engine.parallel) as pool:
        for seen in pool.map(observed, scene.sample(size, max(_PIXELS // size**2, 16))):
            total.merge(seen)
    return threshold_near(info.threshold, total)


def threshold_near(known: float, seen: Observation) -> Choice:
    """Choose the threshold of what was seen of a scene, at most half in log-odds from a known one.

    Args:
        known: the model's threshold.
        seen: its probabilities and the backscatter below them.

    >>> from sarwater.types import Units
    >>> threshold_near(0.4, Observation(["VV"], Units.DB)).threshold
    0.4
    """
    found = seen.separation(known, CAUTION) if seen.histogram.any() else None
    chosen = choose(found, known, "separation", is_matched=False)
    low, high = (float(expit(logit(known) + shift)) for shift in (-FARTHEST, FARTHEST))
    divided = "where the scene's backscatter falls into two classes"
    threshold = chosen.threshold
    if found is None:
        criterion = "the model's, since the scene's backscatter does not fall into two classes"
    elif low <= threshold <= high:
        criterion = f"near the model's ({known:.3f}), {divided}"
    else:
        threshold = round(min(max(threshold, low), high), 3)
        criterion = (
            f"as far from the model's ({known:.3f}) as a scene may move it, toward "
            f"{chosen.dividing:.3f}, {divided}"
        )
    return replace(chosen, threshold=threshold, criterion=criterion)


def in_words(choice: Choice) -> str:
    """Say which threshold a scene is mapped at, by what ``threshold_of_scene`` found.

    >>> in_words(Choice(0.6, 0.0, 0.8, True, "toward 0.800"))
    'mapped at 0.600, toward 0.800; look at the map with care'
    """
    is_far = choice.threshold != choice.dividing
    warning = "; look at the map with care" if is_far else ""
    return f"mapped at {choice.threshold:.3f}, {choice.criterion}{warning}"

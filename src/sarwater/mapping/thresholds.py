"""A threshold for one scene, from its own backscatter."""

from sarwater.adaptation.choosing import Choice, choose
from sarwater.adaptation.observation import Observation
from sarwater.adaptation.separation import CAUTION
from sarwater.mapping.inputs import ModelScene
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor, water_probability
from sarwater.types import Chip

_PIXELS = 1 << 21
"""Pixels that are looked at, in windows spread over the scene."""


def threshold_of_scene(
    predictor: Predictor, scene: ModelScene, group: BandStatistics | None
) -> Choice:
    """Choose the threshold near the model's at which a scene's backscatter falls in two.

    Some two million pixels are looked at, in windows of the model's patch size all over the scene;
    they are always the same. The model's own threshold stays where the backscatter of the pixels
    above and below is no two classes.

    Args:
        predictor: the model.
        scene: the scene.
        group: its band statistics, where the normalization needs them.

    Raises:
        RasterError: the file cannot be read.
    """
    info, size = predictor.info, predictor.windows.patch_size
    seen = Observation(len(info.bands), info.units)
    for image, valid in scene.sample(size, max(_PIXELS // size**2, 16)):
        patch = info.normalization.apply(image, valid, group)
        water = water_probability(predictor.engine.predict(patch[None])[0])
        seen.add(Chip("", "", info.bands, info.units, image, valid, None, scene.grid), water)
    found = seen.separation(info.threshold, CAUTION) if seen.histogram.any() else None
    return choose(found, info.threshold, "separation", is_matched=False)


def in_words(choice: Choice, known: float) -> str:
    """Say which threshold a scene is mapped at.

    Args:
        choice: what ``threshold_of_scene`` found.
        known: the model's threshold.
    """
    if not choice.separates:
        return (
            f"mapped at the model's threshold of {known:.3f}: the scene's backscatter does not "
            "fall into two classes near it"
        )
    return (
        f"mapped at {choice.threshold:.3f}, where the scene's backscatter falls into two classes "
        f"(the model's threshold: {known:.3f})"
    )

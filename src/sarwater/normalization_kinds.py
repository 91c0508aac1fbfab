"""The kinds of normalization, named without NumPy so that a config can list them quickly."""

import enum


class Normalization(enum.StrEnum):
    """Where the mean and the standard deviation come from."""

    FIXED = "fixed"
    """A fixed range of values becomes -1 ... 1 and what lies beyond is clipped."""
    DATASET = "dataset"
    """One mean and standard deviation a band, of all training chips; stored in the model."""
    DOMAIN = "domain"
    """Of the chip's domain; a scene that is mapped is a domain of its own."""
    SCENE = "scene"
    """Of the scene that the chip was cut from; of the chip where no scene is named."""
    PATCH = "patch"
    """Of the patch itself, each time anew."""

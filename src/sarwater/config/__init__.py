"""Settings: typed, with units and ranges, every problem named at once."""

from sarwater.config.adaptation import (
    AdaptationMethod,
    AdaptationSettings,
    BatchNormMethod,
    DannMethod,
    OutputSpaceMethod,
    SelfTrainingMethod,
)
from sarwater.config.reading import (
    Settings,
    build_settings,
    merge,
    parse_yaml,
    read_yaml,
    write_settings,
)
from sarwater.config.training import (
    AugmentationSettings,
    DataSettings,
    LossSettings,
    ModelSettings,
    NormalizationSettings,
    OptimizationSettings,
    PatchSettings,
    RunSettings,
    Strategy,
    TrainSettings,
)

__all__ = [
    "AdaptationMethod",
    "AdaptationSettings",
    "AugmentationSettings",
    "BatchNormMethod",
    "DannMethod",
    "DataSettings",
    "LossSettings",
    "ModelSettings",
    "NormalizationSettings",
    "OptimizationSettings",
    "OutputSpaceMethod",
    "PatchSettings",
    "RunSettings",
    "SelfTrainingMethod",
    "Settings",
    "Strategy",
    "TrainSettings",
    "build_settings",
    "merge",
    "parse_yaml",
    "read_yaml",
    "write_settings",
]

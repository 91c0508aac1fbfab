"""Maps water from radar (SAR) imagery, also where nobody has labelled anything.

The names of ``__all__`` are where to begin from Python; each is imported when it is first asked
for, so that ``import sarwater`` loads neither torch nor GDAL.

>>> import sarwater
>>> sarwater.Units.DB.value
'db'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sarwater.config import TrainSettings, build_settings
    from sarwater.datasets.indexing import index
    from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest
    from sarwater.errors import SarwaterError
    from sarwater.evaluation.models import evaluate_model
    from sarwater.mapping.inputs import SceneSource
    from sarwater.mapping.options import MapOptions
    from sarwater.mapping.scenes import map_scene
    from sarwater.models.boxed import boxed_model
    from sarwater.models.bundle import load_bundle
    from sarwater.prediction import PredictionOptions, Predictor, water_probability
    from sarwater.raster import Scene, read_chip
    from sarwater.report.page import write_page
    from sarwater.training.adapting import start_adapting
    from sarwater.training.start import train
    from sarwater.types import Units

__all__ = [
    "Manifest",
    "MapOptions",
    "PredictionOptions",
    "Predictor",
    "SarwaterError",
    "Scene",
    "SceneSource",
    "TrainSettings",
    "Units",
    "__version__",
    "boxed_model",
    "build_settings",
    "evaluate_model",
    "index",
    "load_bundle",
    "map_scene",
    "read_chip",
    "read_manifest",
    "start_adapting",
    "train",
    "water_probability",
    "write_manifest",
    "write_page",
]

_HOMES = {
    "config": ("TrainSettings", "build_settings"),
    "datasets.indexing": ("index",),
    "datasets.manifest": ("Manifest", "read_manifest", "write_manifest"),
    "errors": ("SarwaterError",),
    "evaluation.models": ("evaluate_model",),
    "mapping.inputs": ("SceneSource",),
    "mapping.options": ("MapOptions",),
    "mapping.scenes": ("map_scene",),
    "models.boxed": ("boxed_model",),
    "models.bundle": ("load_bundle",),
    "prediction": ("PredictionOptions", "Predictor", "water_probability"),
    "raster": ("Scene", "read_chip"),
    "report.page": ("write_page",),
    "training.adapting": ("start_adapting",),
    "training.start": ("train",),
    "types": ("Units",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'sarwater' has no attribute '{name}'")
    value = getattr(import_module(f"sarwater.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

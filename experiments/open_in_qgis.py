"""Open the files of a map in QGIS, without a screen, and see what QGIS makes of them.

command:  /usr/bin/python3 experiments/open_in_qgis.py MAPS [--scene FILE] [--picture PNG]
          with the Python that QGIS is installed for (Debian: python3-qgis), not the environment's
hardware: one core, seconds
result:   printed as JSON; exit code 1 where QGIS warns of anything, or reads other values
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.analysis import QgsRasterCalculator, QgsRasterCalculatorEntry
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateTransformContext,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterBandStats,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize

POLYGONS = (".gpkg", ".fgb", ".parquet")


def raster(path: Path) -> tuple[QgsRasterLayer, dict[str, Any]]:
    """Open a raster, and say what QGIS knows of it."""
    layer = QgsRasterLayer(str(path), path.stem)
    provider = layer.dataProvider()
    statistics = provider.bandStatistics(1, QgsRasterBandStats.All)
    return layer, {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "renderer": layer.renderer().type(),
        "classes": [
            (item.value, item.label, item.color.name())
            for item in (
                layer.renderer().classes() if layer.renderer().type() == "paletted" else []
            )
        ],
        "nodata": provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None,
        "scale": provider.bandScale(1),
        "minimum": statistics.minimumValue,
        "maximum": statistics.maximumValue,
        "overviews": any(one.getExists() for one in provider.buildPyramidList()),
    }


def polygons(path: Path) -> tuple[QgsVectorLayer, dict[str, Any]]:
    """Open polygons, and say what QGIS knows of them."""
    layer = QgsVectorLayer(str(path), path.stem, "ogr")
    features = list(layer.getFeatures())
    areas = [one["area_m2"] for one in features]  # NULL where the scene has no CRS
    return layer, {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "fields": [field.name() for field in layer.fields()],
        "features": len(features),
        "valid_geometries": sum(one.geometry().isGeosValid() for one in features),
        "area_m2": sum(area for area in areas if isinstance(area, float)),
    }


def share_by_calculator(layer: QgsRasterLayer, threshold: float, out: Path) -> float:
    """Apply a threshold by QGIS's raster calculator, as the documents say."""
    entry = QgsRasterCalculatorEntry()
    entry.ref, entry.raster, entry.bandNumber = "p@1", layer, 1
    calculator = QgsRasterCalculator(
        f'"p@1" >= {threshold}',
        str(out),
        "GTiff",
        layer.extent(),
        layer.crs(),
        layer.width(),
        layer.height(),
        [entry],
        QgsCoordinateTransformContext(),
    )
    assert calculator.processCalculation() == 0
    result = QgsRasterLayer(str(out), "")
    return float(result.dataProvider().bandStatistics(1).mean)


def draw(layers: list[Any], path: Path) -> None:
    """Draw layers over one another, the first on top."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[0].extent())
    settings.setOutputSize(QSize(900, 900))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path, help="folder that `sarwater map` wrote")
    parser.add_argument("--scene", type=Path, help="the radar scene, to draw below")
    parser.add_argument("--picture", type=Path, help="where to draw all layers")
    args = parser.parse_args()
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    said: list[str] = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: said.append(f"{tag}: {text}") if level > Qgis.Info else None
    )
    application.initQgis()
    found: dict[str, Any] = {"qgis": Qgis.QGIS_VERSION}
    layers = []
    for path in sorted(args.maps.iterdir()):
        if path.suffix == ".tif":
            layer, found[path.name] = raster(path)
            if path.stem.endswith("_probability"):
                aside = args.maps / "at_half.tif"
                found[path.name]["share_at_half"] = share_by_calculator(layer, 0.5, aside)
                aside.unlink()
            else:
                layers.append(layer)
        elif path.suffix in POLYGONS:
            layer, found[path.name] = polygons(path)
            layers.insert(0, layer)
    if args.scene:
        layers.append(QgsRasterLayer(str(args.scene), "scene"))
    if args.picture:
        draw(layers, args.picture)
    found["warnings"] = said
    print(json.dumps(found, indent=1))
    is_well = not said and all(
        one.get("valid", True) for one in found.values() if isinstance(one, dict)
    )
    sys.stdout.flush()
    os._exit(0 if is_well else 1)  # QGIS's own exit crashes in some versions


if __name__ == "__main__":
    main()

"""The only place that opens rasters: chips and scenes in, GeoTIFF out.

No data in all its kinds (NaN, infinity, a declared value, a dataset mask, the borders of 8-bit
products) becomes ``valid`` here, once; behind it there is no NaN.
"""

from sarwater.raster.borders import border_valid, follows_borders
from sarwater.raster.chips import label_values, read_chip, read_target
from sarwater.raster.footprints import shared_share
from sarwater.raster.grids import check_same_grid, lonlat_bounds, pixel_area, short_crs
from sarwater.raster.opening import (
    Header,
    block_cache,
    cache_size,
    gdal_drivers,
    gdal_version,
    read_header,
)
from sarwater.raster.outlines import outlines
from sarwater.raster.regridding import OnGrid, on_grid
from sarwater.raster.rows import Layer, RowRaster, create_rows, opened_rows, write_cog
from sarwater.raster.scene import Scene
from sarwater.raster.writing import RasterWriter, open_writer, write_raster

__all__ = [
    "Header",
    "Layer",
    "OnGrid",
    "RasterWriter",
    "RowRaster",
    "Scene",
    "block_cache",
    "border_valid",
    "cache_size",
    "check_same_grid",
    "create_rows",
    "follows_borders",
    "gdal_drivers",
    "gdal_version",
    "label_values",
    "lonlat_bounds",
    "on_grid",
    "open_writer",
    "opened_rows",
    "outlines",
    "pixel_area",
    "read_chip",
    "read_header",
    "read_target",
    "shared_share",
    "short_crs",
    "write_cog",
    "write_raster",
]

"""The target of an adaptation: chips or whole scenes without labels, as the network takes them.

Labels that lie beside the images are dropped before anything is read: none of them is opened.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sarwater.config import PatchSettings, Strategy, TrainSettings
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import DataError
from sarwater.normalization_kinds import Normalization
from sarwater.normalize import BandStatistics, Normalizer, RunningStatistics
from sarwater.progress import track
from sarwater.raster import Scene, read_header
from sarwater.training.data import TrainingData, labelled_chips, rows_hash
from sarwater.training.identity import Contents, fingerprint
from sarwater.training.patches import ChipCache
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.types import Chip, Units
from sarwater.units import can_convert, convert

_TILE = 1024
"""Side in pixels of the parts in which larger images are read."""


@dataclass(frozen=True, eq=False)
class TargetData:
    """What is known of the target before the first step."""

    chips: ChipCache
    """Chips, and parts of larger images; none has labels."""
    sample: tuple[int, ...]
    """Chips, spread over the target, from which signals and threshold are taken."""
    sampler: Sampler
    groups: dict[str, BandStatistics]
    """Statistics by domain, or by scene where the normalization is by scene."""
    plain: Normalizer
    """The source's, in the units of the target's values as they are read."""
    own_statistics: bool
    """Whether each of its domains is normalized by its own statistics in place of the source's."""
    matched: BandStatistics | None
    """What lays the target's land and water on the source's; None where that was not done."""
    pooled: BandStatistics
    """Of all its valid pixels."""
    domains: tuple[str, ...]
    records: tuple[ChipRecord, ...]
    """The rows, without labels."""
    contents: Contents
    """What the images hold, to know them again."""

    @property
    def normalizer(self) -> Normalizer:
        """What normalizes the target."""
        if self.matched is not None:
            return Normalizer(Normalization.DATASET, self.plain.units, self.matched)
        if self.own_statistics:
            return _by_domain(self.plain)
        return self.plain

    @property
    def radiometry(self) -> dict[str, Any]:
        """What was found of the radiometry, as plain data."""
        matched = asdict(self.matched) if self.matched else None
        return {"own_statistics": self.own_statistics, "matched": matched}

    def with_radiometry(self, found: dict[str, Any]) -> "TargetData":
        """Return the target normalized as ``radiometry`` of an earlier process said."""
        matched = BandStatistics(**found["matched"]) if found["matched"] else None
        return replace(self, own_statistics=found["own_statistics"], matched=matched)

    def group_at(self, index: int) -> BandStatistics | None:
        """Return the statistics of a chip's domain or scene, None where none are needed."""
        record = self.chips.records[index]
        return self.groups.get(self.normalizer.group_of(record.domain, record.scene, record.id))

    def predicted_as(self, source: TrainingData) -> TrainingData:
        """Return the source's data with the target's normalizer, for predictions of the target."""
        return replace(source, normalizer=self.normalizer)


def without_labels(manifest: Manifest) -> Manifest:
    """Return the manifest with no label file in it."""
    return replace(manifest, records=tuple(replace(one, labels=(), codes=()) for one in manifest))


def prepare_target(
    settings: TrainSettings, manifest: Manifest, source: TrainingData, patches: int
) -> TargetData:
    """Read every image of the target once, with a progress bar, and check that it fits the source.

    Args:
        settings: of the run.
        manifest: of the target; labels are not read.
        source: what the network is trained on.
        patches: an epoch.

    Raises:
        ManifestError: a split or a domain that is not there.
        DataError: no chip, bands that the source has and the target lacks, or units that cannot be
            made the source's under a normalization that needs it.
        RasterError: a file cannot be read.
    """
    part = chosen_target(settings, manifest)
    units = target_units(part.records, source.units, settings.normalization.kind)
    reader = _Reader(part.records, source.bands, units)
    chips = ChipCache(reader.rows, settings.data.cache_gb, reader)
    normalizer = replace(source.normalizer, units=units)
    size = settings.patches.size
    grouped = normalizer if normalizer.needs_group else _by_domain(normalizer)
    groups: dict[str, RunningStatistics] = {}
    pooled = RunningStatistics()
    places: list[Places] = []
    fingerprints: list[tuple[float, ...]] = []
    for index in track(range(len(chips.records)), "reading target", len(chips.records)):
        chip, record = chips[index], chips.records[index]
        places.append(places_of(index, np.zeros(chip.valid.shape, np.uint8), chip.valid, size))
        pooled.add(chip.image, chip.valid)
        fingerprints.append(fingerprint(chip))
        if chip.valid.any():
            group = grouped.group_of(record.domain, record.scene, record.id)
            groups.setdefault(group, RunningStatistics()).add(chip.image, chip.valid)
    joined = Places.join(places)
    if not (joined.valid_share >= 1 - settings.patches.max_nodata).any():
        raise DataError(
            f"no patch of {size} px of the target has at most {settings.patches.max_nodata:.0%} "
            "without data: its images hold no data, or are smaller than a patch; look at them "
            "(`sarwater inspect`), lower patches.size or raise patches.max_nodata"
        )
    drawn = PatchSettings(
        size=size,
        strategy=Strategy.UNIFORM,
        per_epoch=patches,
        max_nodata=settings.patches.max_nodata,
    )
    return TargetData(
        chips,
        sample_of(chips, settings.adaptation.sample_mpx * 1e6),
        Sampler(joined, drawn, settings.run.seed),
        {name: sums.result() for name, sums in groups.items()},
        normalizer,
        False,
        None,
        pooled.result(),
        part.domains,
        part.records,
        Contents.of(rows_hash(part.records), [one.id for one in chips.records], fingerprints),
    )


def _by_domain(normalizer: Normalizer) -> Normalizer:
    return replace(normalizer, kind=Normalization.DOMAIN)


def sample_of(chips: ChipCache, pixels: float) -> tuple[int, ...]:
    """Return chips with data, spread over all, of about so many pixels; always the same ones."""
    chosen: list[int] = []
    seen = 0
    for index in np.random.default_rng(0).permutation(len(chips.records)):
        if seen >= pixels:
            break
        chip = chips[int(index)]
        if chip.valid.any():
            chosen.append(int(index))
            seen += chip.valid.size
    return tuple(sorted(chosen))


def chosen_target(settings: TrainSettings, manifest: Manifest) -> Manifest:
    """Return the target's chips as the settings choose them, without labels.

    Raises:
        ManifestError: a split or a domain that is not there.
        DataError: no chip.
    """
    chosen = settings.adaptation
    part = without_labels(manifest).select(
        split=chosen.target_splits, domains=chosen.target_domains
    )
    if not part.records:
        raise DataError(f"{manifest.path or 'the target'} has no chip to adapt to")
    return part


def check_target(settings: TrainSettings, source: Manifest, target: Manifest) -> None:
    """Check, from the tables alone, that a target can be adapted to.

    Raises:
        ManifestError: a split or a domain that is not there.
        DataError: no chip of the target or none to train on, a band that is missing, or units
            that do not fit.
    """
    part = chosen_target(settings, target)
    first = labelled_chips(settings, source, settings.data.train_split).records[0]
    target_units(part.records, first.units, settings.normalization.kind)
    for record in part.records:
        _check_bands(record, first.bands)


class _Reader:
    """Reads the target's images, large ones by parts, in the source's bands and units."""

    def __init__(self, records: Sequence[ChipRecord], bands: tuple[str, ...], units: Units) -> None:
        self._bands = bands
        self.units = units
        self._opened: tuple[int, ChipRecord, Scene] | None = None
        self._windows: list[tuple[int, int, int, int]] = []
        rows: list[ChipRecord] = []
        for record in records:
            _check_bands(record, bands)
            grid = read_header(record.images[0]).grid
            for row in range(0, grid.height, _TILE):
                for col in range(0, grid.width, _TILE):
                    height, width = min(_TILE, grid.height - row), min(_TILE, grid.width - col)
                    self._windows.append((row, col, height, width))
                    rows.append(record)
        self.rows = tuple(rows)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file behind: each process opens its own."""
        return {**self.__dict__, "_opened": None}

    def __call__(self, index: int) -> Chip:
        record, window = self.rows[index], self._windows[index]
        scene = self._scene(record)
        image, valid = scene.read(*window, bands=scene.band_indices(self._bands))
        grid = scene.grid.window(*window)
        if record.units != self.units:
            image = np.where(valid, convert(image, record.units, self.units), np.float32(0))
        return Chip(record.id, record.domain, self._bands, self.units, image, valid, None, grid)

    def _scene(self, record: ChipRecord) -> Scene:
        """Keep the last image open: finding the borders of an 8-bit scene reads all of it."""
        if self._opened is not None:
            process, known, scene = self._opened
            if known is record and process == os.getpid():
                return scene
            if process == os.getpid():
                scene.close()
        scene = Scene(record.images, bands=record.bands, units=record.units, nodata=record.nodata)
        self._opened = (os.getpid(), record, scene)
        return scene


def target_units(records: Sequence[ChipRecord], wanted: Units, kind: Normalization) -> Units:
    """Return the units in which the target is read: the source's wherever that can be.

    Raises:
        DataError: they cannot be the source's, and the normalization needs that.
    """
    found = sorted({record.units for record in records})
    if all(can_convert(units, wanted) for units in found):
        return wanted
    own = (Normalization.DOMAIN, Normalization.SCENE, Normalization.PATCH)
    if kind in own and len(found) == 1:
        return found[0]
    listed = ", ".join(units.value for units in found)
    raise DataError(
        f"the target's values are in units {listed}, the source's in {wanted.value}, and one "
        "cannot be computed from the other without the sensor's calibration; "
        + (
            "take targets of one unit"
            if len(found) > 1
            else "set normalization.kind to domain, which takes each side's own statistics"
        )
    )


def _check_bands(record: ChipRecord, bands: Sequence[str]) -> None:
    there = {band.lower() for band in record.bands}
    missing = [band for band in bands if band.lower() not in there]
    if missing:
        raise DataError(
            f"target chip '{record.id}' has the bands {', '.join(record.bands)}, the source "
            f"{', '.join(bands)}: {', '.join(missing)} is missing; take the source's model of "
            "bands that both have, or name the target's bands in the manifest"
        )

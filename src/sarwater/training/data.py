"""What a training run needs of its data: chips, statistics and places, checked before it starts."""

import hashlib
import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sarwater.config import TrainSettings
from sarwater.datasets.listing import some
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import DataError, SarwaterWarning
from sarwater.losses.terms import check_values_per_class
from sarwater.normalize import BandStatistics, Normalizer, RunningStatistics
from sarwater.progress import track
from sarwater.ranks import is_first_process
from sarwater.raster import pixel_area
from sarwater.training.identity import Contents, fingerprint
from sarwater.training.patches import ChipCache
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.types import IGNORE, Chip, Units


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Everything that is known before the first step."""

    train: ChipCache
    val: ChipCache
    sampler: Sampler
    normalizer: Normalizer
    groups: dict[str, BandStatistics]
    """Statistics by domain or scene, where the normalization needs them."""
    bands: tuple[str, ...]
    units: Units
    classes: tuple[str, ...]
    pixel_size: float | None
    """Metres; the median of the chips, None where a chip has no CRS."""
    description: dict[str, Any]
    """For the model file: domains, chips, a hash of the manifest's rows."""
    contents: Contents
    """What the chips of both splits hold, to know them again."""
    unused: tuple[str, ...] = ()
    """Training chips of which no patch is ever shown."""

    def with_statistics(self, statistics: BandStatistics | None) -> "TrainingData":
        """Return the data normalized by other statistics than those of its own chips, if any."""
        if statistics is None:
            return self
        return replace(self, normalizer=replace(self.normalizer, statistics=statistics))

    def group_of(self, record: ChipRecord) -> BandStatistics | None:
        """Return the statistics of a chip's domain or scene, None where none are needed."""
        return self.groups.get(self.normalizer.group_of(record.domain, record.scene, record.id))


def prepare(settings: TrainSettings, manifest: Manifest) -> TrainingData:
    """Read every chip of the two splits once, with a progress bar, and check them.

    Raises:
        ConfigError: a loss does not have a value for each class.
        ManifestError: a split or a domain that is not there.
        DataError: chips that differ in bands or units, chips without labels, or a split without
            water (or without background).
        RasterError: a file cannot be read.
    """
    check_values_per_class(settings.loss.terms, manifest.classes)
    data = settings.data
    train_part = labelled_chips(settings, manifest, data.train_split)
    val_part = labelled_chips(settings, manifest, data.val_split)
    records = (*train_part.records, *val_part.records)
    bands, units = _common(records)
    train = ChipCache(train_part.records, data.cache_gb)
    val = ChipCache(val_part.records, data.cache_gb)
    survey = _Survey(settings, units)
    for index in track(range(len(train_part)), "reading train chips", len(train_part)):
        survey.add_train(index, train[index], train.records[index])
    for index in track(range(len(val_part)), "reading val chips", len(val_part)):
        survey.add_val(val[index], val.records[index])
    survey.check(data.train_split, data.val_split, manifest)
    rows = rows_hash(records)
    sampler = Sampler(Places.join(survey.places), settings.patches, settings.run.seed)
    unused = np.setdiff1d(np.arange(len(train_part)), sampler.places.chip)
    survey.warn_of_small([int(index) for index in unused], train.records)
    return TrainingData(
        train,
        val,
        sampler,
        survey.normalizer(),
        {name: sums.result() for name, sums in survey.groups.items()},
        bands,
        units,
        manifest.classes,
        survey.pixel_size(),
        {
            "manifest_sha256": rows,
            "domains": sorted({record.domain for record in records}),
            "train_chips": len(train_part),
            "val_chips": len(val_part),
        },
        Contents.of(rows, [record.id for record in records], survey.fingerprints),
        tuple(train.records[index].id for index in unused),
    )


def labelled_chips(settings: TrainSettings, manifest: Manifest, split: str) -> Manifest:
    """Return the labelled chips of a split, of the domains that the settings name.

    Raises:
        ManifestError: a split or a domain that is not there.
        DataError: no such chip.
    """
    domains = settings.data.domains
    part = manifest.select(split=split, domains=domains, labelled=True)
    if not part.records:
        raise DataError(
            f"{manifest.path}: no labelled chip in split '{split}'"
            + (f" of domains {', '.join(domains)}" if domains else "")
            + "; assign some with `sarwater split`"
        )
    return part


def rows_hash(records: Sequence[ChipRecord]) -> str:
    """Return the SHA-256 of what the rows say (places of files left out: data sets move)."""
    lines = [
        "|".join(
            [
                record.id,
                record.domain,
                record.split,
                record.scene,
                record.units,
                record.nodata,
                ";".join(record.bands),
                ";".join(path.name for path in (*record.images, *record.labels)),
                ";".join(map(str, record.codes)),
                ";".join(record.classes),
            ]
        )
        for record in records
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Survey:
    """One pass over the chips: statistics, places, label counts."""

    def __init__(self, settings: TrainSettings, units: Units) -> None:
        normalization = settings.normalization
        self._kind = Normalizer(normalization.kind, units, value_range=normalization.value_range)
        self._size = settings.patches.size
        self._all = RunningStatistics()
        self._pixel_sizes: list[float | None] = []
        self._labels = {"train": [0, 0], "val": [0, 0]}
        self.groups: dict[str, RunningStatistics] = {}
        self.places: list[Places] = []
        self.fingerprints: list[tuple[float, ...]] = []
        self._small: set[int] = set()

    def add_train(self, index: int, chip: Chip, record: ChipRecord) -> None:
        assert chip.target is not None
        self._all.add(chip.image, chip.valid)
        self.places.append(places_of(index, chip.target, chip.valid, self._size))
        if min(chip.valid.shape) < self._size and (chip.valid & (chip.target != IGNORE)).any():
            self._small.add(index)
        area = pixel_area(chip.grid)
        self._pixel_sizes.append(math.sqrt(area) if area else None)
        self._add("train", chip, record)

    def add_val(self, chip: Chip, record: ChipRecord) -> None:
        self._add("val", chip, record)

    def _add(self, split: str, chip: Chip, record: ChipRecord) -> None:
        assert chip.target is not None
        self.fingerprints.append(fingerprint(chip))
        counted = chip.target[chip.valid & (chip.target != IGNORE)]
        self._labels[split][0] += int((counted == 0).sum())
        self._labels[split][1] += int((counted != 0).sum())
        if self._kind.needs_group and chip.valid.any():
            group = self._kind.group_of(record.domain, record.scene, record.id)
            self.groups.setdefault(group, RunningStatistics()).add(chip.image, chip.valid)

    def check(self, train: str, val: str, manifest: Manifest) -> None:
        names = {"train": train, "val": val}
        for split, (background, foreground) in self._labels.items():
            missing = [
                name
                for name, pixels in (
                    (manifest.classes[0], background),
                    (" or ".join(manifest.classes[1:]), foreground),
                )
                if pixels == 0
            ]
            if missing:
                raise DataError(
                    f"{manifest.path}: split '{names[split]}' has no valid pixel labelled "
                    f"{' and none labelled '.join(missing)}; move chips there that have some "
                    "(`sarwater split`), or check the codes"
                )

    def warn_of_small(self, unused: Sequence[int], records: Sequence[ChipRecord]) -> None:
        """Name the chips without a patch whose labels would be shown by smaller patches."""
        names = [records[index].id for index in unused if index in self._small]
        if names and is_first_process():
            warnings.warn(
                f"{len(names)} of {len(records)} training chips are smaller than a patch of "
                f"{self._size} px and never shown ({some(names, 3)}): too much of "
                "the patch would be without data; lower patches.size, or raise patches.max_nodata",
                SarwaterWarning,
                stacklevel=3,
            )

    def normalizer(self) -> Normalizer:
        return Normalizer(
            self._kind.kind, self._kind.units, self._all.result(), self._kind.value_range
        )

    def pixel_size(self) -> float | None:
        known = [size for size in self._pixel_sizes if size is not None]
        return statistics.median(known) if len(known) == len(self._pixel_sizes) else None


def _common(records: Sequence[ChipRecord]) -> tuple[tuple[str, ...], Units]:
    first = records[0]
    for record in records:
        for what in ("bands", "units"):
            found, expected = getattr(record, what), getattr(first, what)
            if found != expected:
                raise DataError(
                    f"chip '{record.id}' has {what} {_shown(found)}, chip '{first.id}' has "
                    f"{_shown(expected)}: one network takes one kind of image; train on chips "
                    "that agree (data.domains selects), or convert the others"
                )
    return first.bands, first.units


def _shown(value: str | tuple[str, ...]) -> str:
    return ";".join(value) if isinstance(value, tuple) else str(value)

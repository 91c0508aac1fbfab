from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from sarwater.datasets.indexing import index
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import DataError, SarwaterError
from sarwater.evaluation.chips import Evaluation, MissingRadar, Observed, evaluate
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.types import AnyArray, Chip, FloatArray, Units
from tests.conftest import CRS, RecordMaker, TifMaker
from tests.evaluation_cases import MODEL, LogitModel, probabilities

MakeChip = Callable[..., ChipRecord]


@pytest.fixture
def make_chip(make_tif: TifMaker, make_record: RecordMaker) -> MakeChip:
    """Write an image of logits (one band) and its labels; -1 is not labelled, nan no data."""

    def make(name: str, image: AnyArray, labels: AnyArray | None, **cells: object) -> ChipRecord:
        bands = ("VV",) if image.ndim == 2 else tuple(f"b{i}" for i in range(len(image)))
        file = make_tif(f"{name}.tif", image.astype(np.float32), crs=CRS, bands=bands)
        if labels is not None:
            label = make_tif(f"{name}_label.tif", labels.astype(np.int16), crs=CRS)
            cells = {"labels": (label,), "codes": "0=land,1=water,-1=ignore", **cells}
        return make_record(file, **{"id": name, "bands": bands, **cells})

    return make


def noisy(seed: int, share: float = 0.3) -> tuple[FloatArray, AnyArray]:
    generator = np.random.default_rng(seed)
    labels = (generator.random((16, 20)) < share).astype(np.int16)
    logits = np.where(labels == 1, 1, -1) + generator.normal(0, 1, labels.shape)
    return logits.astype(np.float32), labels


def run(*records: ChipRecord, **options: object) -> Evaluation:
    return evaluate(
        LogitModel(),
        Manifest(records, Path("data.csv")),
        MODEL,
        **options,  # type: ignore[arg-type]
    )


def test_counts_by_a_loop(make_chip: MakeChip) -> None:
    records = [make_chip(f"c{n}", *noisy(n), domain=f"d{n % 2}") for n in range(3)]
    found = run(*records, split="test")
    assert [chip.id for chip in found.chips] == ["c0", "c1", "c2"]
    assert [chip.domain for chip in found.chips] == ["d0", "d1", "d0"]
    assert found.threshold == 0.4
    assert found.criterion == "best F1 on val"
    for number in range(3):
        logits, labels = noisy(number)
        called = probabilities(logits[None])[1] >= np.float32(0.4)
        tp = np.count_nonzero(called & (labels == 1))
        assert found.counts[number].tp[399] == tp
        assert found.confusion[number].tolist() == [
            [np.count_nonzero(~called & (labels == 0)), np.count_nonzero(called & (labels == 0))],
            [np.count_nonzero(~called & (labels == 1)), tp],
        ]
        assert found.chips[number].pixel_area == pytest.approx(100)


def test_what_is_not_labelled_changes_nothing(make_chip: MakeChip) -> None:
    logits, labels = noisy(0)
    labels[:5] = -1
    other = logits.copy()
    other[:5] = 9
    one = run(make_chip("one", logits, labels))
    two = run(make_chip("two", other, labels))
    assert np.array_equal(one.counts.positives, two.counts.positives)
    assert np.array_equal(one.counts.negatives, two.counts.negatives)
    assert one.chips[0].counted == one.chips[0].labelled == 11 * 20


@pytest.mark.parametrize("rule", list(MissingRadar))
def test_labelled_water_without_radar(make_chip: MakeChip, rule: MissingRadar) -> None:
    logits, labels = noisy(0)
    logits[:4] = np.nan
    found = run(make_chip("a", logits, labels), missing_radar=rule)
    missing = int(np.count_nonzero(labels[:4] == 1))
    chip = found.chips[0]
    assert (chip.without_radar, chip.water_without_radar) == (4 * 20, missing)
    called = probabilities(logits[4:][None])[1] >= np.float32(0.4)
    missed = np.count_nonzero(~called & (labels[4:] == 1))
    if rule is MissingRadar.EXCLUDE:
        assert chip.counted == 12 * 20
        assert found.counts.fn[0, 399] == missed
    else:
        assert chip.counted == 16 * 20
        assert found.counts.fn[0, 399] == missed + missing
        assert found.counts.tn[0, 399] == 16 * 20 - found.counts.fn[0, 399] - np.count_nonzero(
            called
        )


def test_a_chip_without_radar_counts_only_as_land(make_chip: MakeChip) -> None:
    logits, labels = noisy(0)
    blind = make_chip("blind", np.full_like(logits, np.nan), labels)
    seen = make_chip("seen", *noisy(1))
    excluded = run(blind, seen)
    assert excluded.not_counted == {"blind": "no labelled pixel has data"}
    assert excluded.left_out[0].water_without_radar == (labels == 1).sum()
    as_land = run(blind, seen, missing_radar=MissingRadar.AS_LAND)
    assert as_land.counts.fn[0, 0] == (labels == 1).sum()
    assert as_land.counts.fp[0, 0] == 0


def test_a_chip_without_a_labelled_pixel_is_left_out(make_chip: MakeChip) -> None:
    logits, labels = noisy(0)
    found = run(make_chip("blank", logits, np.full_like(labels, -1)), make_chip("c", *noisy(1)))
    assert found.not_counted == {"blank": "no pixel is labelled"}
    assert len(found.chips) == 1


def test_three_classes(make_chip: MakeChip) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, (12, 12)).astype(np.int16)
    logits = generator.normal(0, 1, (3, 12, 12)) + 2 * (labels == np.arange(3)[:, None, None])
    classes = ("land", "permanent", "flood")
    record = make_chip("c", logits, labels, classes=classes, codes="0=land,1=permanent,2=flood")
    model = replace(MODEL, classes=classes)
    found = evaluate(LogitModel(), Manifest((record,)), model)
    probability = probabilities(logits.astype(np.float32))
    water = probability[1:].sum(axis=0, dtype=np.float32) >= np.float32(0.4)
    predicted = np.where(water, 1 + probability[1:].argmax(axis=0), 0)
    expected = [
        [np.count_nonzero((labels == t) & (predicted == p)) for p in range(3)] for t in range(3)
    ]
    assert found.confusion[0].tolist() == expected
    assert found.counts.tp[0, 399] == np.count_nonzero(water & (labels > 0))


def test_domain_statistics_are_of_all_chips_and_use_no_labels(make_chip: MakeChip) -> None:
    normalizer = Normalizer(Normalization.DOMAIN, Units.DB)
    (one, labels), (two, _) = noisy(0), noisy(1)
    model = LogitModel()
    records = (
        make_chip("one", one, labels, domain="elbe"),
        make_chip("two", two, None, domain="elbe"),
        make_chip("far", two * 3, labels, domain="rhine"),
    )
    found = evaluate(model, Manifest(records), MODEL, normalizer=normalizer)
    assert set(model.groups) == {"one", "far"}
    group = model.groups["one"]
    assert group is not None
    assert group.mean[0] == pytest.approx(np.concatenate([one, two]).mean(), abs=1e-5)
    assert group.count == one.size + two.size
    assert "no label is used" in found.groups
    model = LogitModel()
    evaluate(model, Manifest(records), MODEL, normalizer=Normalizer(Normalization.FIXED, Units.DB))
    assert model.groups["one"] is None


def test_a_threshold_that_is_given(make_chip: MakeChip) -> None:
    found = run(make_chip("c", *noisy(0)), threshold=0.6)
    assert found.threshold == 0.6
    assert found.criterion == "given with --threshold"
    assert found.model.threshold == 0.4


def test_every_counted_chip_is_shown(make_chip: MakeChip) -> None:
    seen: list[Observed] = []
    found = run(make_chip("a", *noisy(0)), make_chip("b", *noisy(1)), watch=seen.append)
    assert [shown.chip.id for shown in seen] == ["a", "b"]
    assert np.array_equal(seen[1].confusion, found.confusion[1])
    assert seen[0].predicted.sum() == found.confusion[0][:, 1].sum()


def test_no_labels(make_chip: MakeChip) -> None:
    with pytest.raises(DataError, match="none of them with labels"):
        run(make_chip("c", noisy(0)[0], None))


def test_no_water(make_chip: MakeChip) -> None:
    dry = make_chip("dry", *noisy(0, share=0))
    with pytest.raises(DataError, match=r"data\.csv \(split 'test'\) has no water"):
        run(dry, split="test")
    found = run(dry, allow_dry=True)
    assert found.counts.fp[0, 399] > 0


def test_nothing_that_counts(make_chip: MakeChip) -> None:
    logits, labels = noisy(0)
    blank = make_chip("blank", logits, np.full_like(labels, -1))
    with pytest.raises(DataError, match="blank: no pixel is labelled"):
        run(blank)


def test_other_classes_than_the_models(make_chip: MakeChip) -> None:
    record = make_chip("c", *noisy(0), classes=("dry", "wet"), codes="0=dry,1=wet")
    with pytest.raises(DataError, match=r"classes dry, wet, but the model model has land, water"):
        run(record)


@pytest.mark.parametrize("threshold", [0.4237, 0.0])
def test_a_threshold_off_the_grid(make_chip: MakeChip, threshold: float) -> None:
    with pytest.raises(DataError, match=r"multiple of 0\.001"):
        run(make_chip("c", *noisy(0)), threshold=threshold)


def test_a_model_of_another_shape(make_chip: MakeChip) -> None:
    class Wrong(LogitModel):
        def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
            return super().predict_chip(chip, group)[[0, 1, 1]]

    with pytest.raises(SarwaterError, match=r"gave \(3, 16, 20\) for chip 'c'"):
        evaluate(Wrong(), Manifest((make_chip("c", *noisy(0)),)), MODEL)


class MedianModel(LogitModel):
    """No network: VH after a 5 x 5 median, -22.5 dB being a probability of one half."""

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        vh = ndimage.median_filter(chip.image[1], 5)
        return super().predict_chip(replace(chip, image=-22.5 - vh[None]), group)


@pytest.mark.real_data
def test_sen1floods11_by_one_threshold(real_data: Path) -> None:
    manifest = index(real_data / "sen1floods11", "sen1floods11")
    model = replace(MODEL, threshold=0.5)
    found = evaluate(MedianModel(), manifest, model)
    assert {chip.id.partition("_")[0] for chip in found.chips} == {
        "India",
        "Somalia",
        "Spain",
        "USA",
    }
    assert found.not_counted == {
        "Paraguay_34417": "no labelled pixel has data",
        "Ghana_83483": "no pixel is labelled",
    }
    pooled = found.counts.pooled()
    f1 = 2 * pooled.tp[499] / (2 * pooled.tp[499] + pooled.fp[499] + pooled.fn[499])
    assert f1 == pytest.approx(0.834, abs=0.002)
    as_land = evaluate(MedianModel(), manifest, model, missing_radar=MissingRadar.AS_LAND)
    assert len(as_land.chips) == 5
    assert as_land.counts.pooled().fp[499] == pooled.fp[499]
    assert as_land.counts.pooled().fn[499] > pooled.fn[499]

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor, nn

from sarwater.config import PatchSettings
from sarwater.datasets.manifest import ChipRecord
from sarwater.errors import SarwaterWarning
from sarwater.evaluation.counts import count
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.raster import read_chip
from sarwater.training.data import TrainingData
from sarwater.training.identity import Contents
from sarwater.training.patches import ChipCache
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.training.validation import ChipCounter, summarize, warn_of_choice
from sarwater.types import IGNORE, FloatArray, Units
from tests.conftest import RecordMaker, TifMaker

SIZE = 32
GROUPS = {
    "a": BandStatistics((-12.0, -17.0), (4.0, 4.5), 1),
    "b": BandStatistics((-13.0, -16.0), (3.0, 5.0), 1),
}


class Pixelwise(nn.Module):
    """Logits of each pixel by itself, so that windows and their blending change nothing."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(classes)
        self.layer = nn.Conv2d(2, classes, 1)
        self.norm = nn.BatchNorm2d(classes)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.norm(self.layer(image))
        return logits


@pytest.fixture(params=[2, 3])
def data(
    request: pytest.FixtureRequest, make_tif: TifMaker, make_record: RecordMaker
) -> TrainingData:
    """Three validation chips of two domains and several sizes, with invalid and ignored pixels."""
    classes = ("land", "lake", "flood")[: request.param]
    random = np.random.default_rng(1)
    records: list[ChipRecord] = []
    for index, (height, width) in enumerate([(32, 32), (50, 70), (20, 33)]):
        image = random.normal(-14, 5, (2, height, width)).astype(np.float32)
        image[:, random.random((height, width)) < 0.1] = np.nan
        label = random.integers(0, request.param + 1, (height, width)).astype(np.uint8)
        records.append(
            make_record(
                make_tif(f"i{index}.tif", image),
                id=f"c{index}",
                domain="aba"[index],
                classes=classes,
                labels=(make_tif(f"l{index}.tif", label),),
                codes="0=land,1=lake,2=flood,3=ignore"
                if len(classes) == 3
                else "0=land,1=lake,2=ignore",
            )
        )
    cache = ChipCache(records, 1.0)
    first = cache[0]
    assert first.target is not None
    places = Places.join([places_of(0, first.target, first.valid, SIZE)])
    return TrainingData(
        train=cache,
        val=cache,
        sampler=Sampler(places, PatchSettings(size=SIZE), 0),
        normalizer=Normalizer(Normalization.DOMAIN, Units.DB),
        groups=GROUPS,
        bands=("VV", "VH"),
        units=Units.DB,
        classes=classes,
        pixel_size=None,
        description={},
        contents=Contents.of("", [], []),
    )


def reference(network: Pixelwise, data: TrainingData, indices: list[int]) -> tuple[Any, Any]:
    """Water probability and truth of the labelled valid pixels, by whole chips."""
    probabilities, truths = [], []
    for index in indices:
        record = data.val.records[index]
        chip, group = read_chip(record), GROUPS[record.domain]
        assert chip.target is not None
        mean, std = (np.array(part)[:, None, None] for part in (group.mean, group.std))
        image = np.where(chip.valid, (chip.image - mean) / std, 0).astype(np.float32)
        with torch.inference_mode():
            probability = network.eval()(torch.from_numpy(image)[None]).softmax(dim=1)[0]
        counted = chip.valid & (chip.target != IGNORE)
        probabilities.append(probability[1:].sum(dim=0).numpy()[counted])
        truths.append((chip.target != 0)[counted])
    return np.concatenate(probabilities), np.concatenate(truths)


def test_counts_are_those_of_whole_chips(data: TrainingData) -> None:
    network = Pixelwise(len(data.classes))
    counter = ChipCounter(network, data)
    found = counter.count(0) + counter.count(1) + counter.count(2)
    probability, truth = reference(network, data, [0, 1, 2])
    assert int(found.water) == truth.sum()
    assert int(found.land) == (~truth).sum()
    for threshold in (0.1, 0.5, 0.73):
        index = round(threshold * 1000) - 1
        # Blending may move a probability over a threshold by rounding.
        near = int((np.abs(probability - threshold) < 1e-5).sum())
        called = probability >= np.float32(threshold)
        assert abs(int(found.tp[index]) - (called & truth).sum()) <= near
        assert abs(int(found.fp[index]) - (called & ~truth).sum()) <= near


def test_the_network_stays_as_it_is(data: TrainingData) -> None:
    network = Pixelwise(len(data.classes)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ChipCounter(network, data).count(0)
    assert network.training
    assert network.norm.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("criterion", ["f1", "iou"])
def test_a_summary_is_that_of_scikit_learn(criterion: str) -> None:
    random = np.random.default_rng(0)
    truth = random.random(5000) < 0.3
    drawn = random.normal(np.where(truth, 0.5, 0.3), 0.15).clip(0, 1)
    probability: FloatArray = (np.round(drawn * 200) / 200).astype(np.float32)
    found = summarize(count(probability, truth), criterion)
    called = probability >= np.float32(found.threshold)
    assert found.f1 == pytest.approx(metrics.f1_score(truth, called))
    assert found.iou == pytest.approx(metrics.jaccard_score(truth, called))
    assert found.precision == pytest.approx(metrics.precision_score(truth, called))
    assert found.recall == pytest.approx(metrics.recall_score(truth, called))
    half = metrics.f1_score(truth, probability >= 0.5)
    assert found.f1_at_half == pytest.approx(half)
    expected = metrics.average_precision_score(truth, probability)
    assert found.average_precision == pytest.approx(expected)
    best = max(metrics.f1_score(truth, probability >= t / 200) for t in range(1, 200))
    assert found.f1 == pytest.approx(best)
    assert found.f1 > half
    assert found.best_f1 == found.f1
    assert found.criterion.endswith("on the validation split")


def test_scores_that_are_not_defined_are_zero() -> None:
    truth = np.array([True, False, False])
    probability = np.array([0.2, 0.1, 0.1], np.float32)
    found = summarize(count(probability, truth), "f1")
    assert found.f1_at_half == 0.0
    assert found.f1 == 1.0
    assert found.average_precision == 1.0


def test_a_criterion_that_nothing_satisfies_falls_back_to_f1_and_says_so() -> None:
    truth = np.array([True, False, True, False] * 50)
    probability = np.where(truth, 0.4, 0.6).astype(np.float32)
    found = summarize(count(probability, truth), "precision>=0.9")
    assert found.criterion.startswith("no threshold satisfies precision>=0.9, so best F1")
    assert found.recall == 1.0


def test_the_checkpoint_goes_by_the_best_f1_whatever_chose_the_threshold() -> None:
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.2
    probability = np.clip(0.5 * truth + random.normal(0.3, 0.2, 4000), 0, 1).astype(np.float32)
    strict = summarize(count(probability, truth), "precision>=0.95")
    plain = summarize(count(probability, truth), "f1")
    assert strict.precision >= 0.95
    assert strict.f1 < plain.f1
    assert strict.best_f1 == plain.best_f1 == plain.f1


def test_a_criterion_that_was_not_reached_is_warned_of() -> None:
    with pytest.warns(
        SarwaterWarning, match=r"no threshold satisfies precision>=\.9.*ask for less"
    ):
        warn_of_choice(
            0.5, "no threshold satisfies precision>=.9, so best F1 on the validation split"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_choice(0.002, "best F1 on the validation split")


@pytest.mark.parametrize("end", [0.001, 0.999])
def test_a_threshold_at_an_end_is_warned_of(end: float) -> None:
    with pytest.warns(SarwaterWarning, match=f"validation split is {end}, at the end of the thr"):
        warn_of_choice(end, "best F1 on the validation split")

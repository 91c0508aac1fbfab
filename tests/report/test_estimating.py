"""What an evaluation will take, also where many chips have nothing to count."""

import numpy as np
import pytest

from sarwater.datasets.manifest import Manifest
from sarwater.errors import DataError
from sarwater.report.estimating import estimate_evaluation
from sarwater.types import IGNORE, Units
from tests.conftest import RecordMaker, TifMaker
from tests.evaluation_cases import MODEL, LogitModel


@pytest.mark.parametrize("place", [*range(9), None])
def test_blank_chips_do_not_keep_it_from_the_others(
    place: int | None, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    """Nine chips, one of which has pixels that count, wherever it stands; or none."""
    records = []
    for number in range(9):
        target = np.full((8, 8), 1 if number == place else IGNORE, np.uint8)
        record = make_record(
            make_tif(f"i{number}.tif", np.full((8, 8), 0.5, np.float32)),
            id=f"chip{number}",
            bands=("VV",),
            units=Units.OTHER,
            labels=(make_tif(f"l{number}.tif", target),),
            codes="0=land,1=water,255=ignore",
        )
        records.append(record)
    manifest, options = Manifest(tuple(records)), {"resamples": 0, "panels": 0, "gallery_size": 0}
    if place is None:
        with pytest.raises(DataError, match="no pixel that counts"):
            estimate_evaluation(LogitModel(), manifest, MODEL, "none", **options)
        return
    found = estimate_evaluation(LogitModel(), manifest, MODEL, "none", **options)
    assert found.chips == 9
    assert found.seconds_per_chip >= 0

from typing import Any

import pytest
from pydantic import ValidationError

from sarwater.models.architecture import Architecture


def test_an_architecture_comes_back_from_json() -> None:
    one = Architecture(encoder="resnet18", output_stride=8, atrous_rates=(1, 2, 3), dropout=0)
    assert Architecture.model_validate_json(one.model_dump_json()) == one
    assert hash(one) == hash(one.model_copy())


@pytest.mark.parametrize(
    "wrong",
    [
        {"output_stride": 32},
        {"decoder_channels": 4},
        {"dropout": 1.0},
        {"detail_channels": -1},
        {"atrous_rates": (1, 2)},
        {"encoders": "resnet18"},
    ],
)
def test_what_cannot_be_built_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Architecture(**wrong)

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.errors import ModelError
from sarwater.models.architecture import Architecture
from sarwater.models.segmenter import Segmenter, require_seeds

ENCODER = "tu-mobilenetv3_small_050"


def network(bands: int = 2, classes: int = 2, **changes: Any) -> Segmenter:
    torch.manual_seed(0)
    small: dict[str, Any] = {"encoder": ENCODER, "decoder_channels": 16, "detail_channels": 8}
    return Segmenter(Architecture(**{**small, **changes}), bands, classes).eval()


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_any_number_of_bands_and_classes(bands: int, classes: int) -> None:
    with torch.inference_mode():
        logits = network(bands, classes)(images(2, bands, 48, 32))
    assert logits.shape == (2, classes, 48, 32)
    assert logits.isfinite().all()
    assert logits.std() > 0


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("detail", [0, 8])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 50), (33, 80)])
def test_any_size_and_output_stride(stride: int, detail: int, height: int, width: int) -> None:
    chosen = network(output_stride=stride, detail_channels=detail)
    with torch.inference_mode():
        logits, features = chosen.logits_and_features(images(1, 2, height, width))
        again = chosen(images(1, 2, height, width))
    assert logits.shape == (1, 2, height, width)
    padded = -(-height // 16) * 16, -(-width // 16) * 16
    assert features.shape == (1, 16, padded[0] // stride, padded[1] // stride)
    assert torch.equal(logits, again)


def test_other_sizes_are_those_of_the_image_with_its_border_repeated() -> None:
    chosen = network()
    image = images(2, 2, 41, 50)
    padded = np.pad(image.numpy(), [(0, 0), (0, 0), (0, 7), (0, 14)], mode="edge")
    with torch.inference_mode():
        found = chosen(image)
        expected = chosen(torch.from_numpy(padded))[..., :41, :50]
    torch.testing.assert_close(found, expected)


def test_a_patch_does_not_depend_on_the_others_of_its_batch() -> None:
    chosen = network(classes=3)
    batch = images(3, 2, 48, 48)
    with torch.inference_mode():
        together = chosen(batch)
        alone = torch.cat([chosen(one[None]) for one in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("detail", [0, 8])
def test_a_batch_of_one_trains_every_weight(stride: int, detail: int) -> None:
    chosen = network(output_stride=stride, detail_channels=detail, dropout=0.0).train()
    target = torch.randint(2, (1, 32, 32), generator=torch.Generator().manual_seed(2))
    F.cross_entropy(chosen(images(1, 2, 32, 32)), target).backward()  # type: ignore[no-untyped-call]
    for name, parameter in chosen.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    kernels = [module.weight for module in chosen.modules() if isinstance(module, nn.Conv2d)]
    moved = [kernel for kernel in kernels if kernel.grad is not None and kernel.grad.any()]
    assert len(moved) > 0.9 * len(kernels)


def test_training_and_the_pooled_branch_need_no_batch_statistics() -> None:
    pooled = [
        module
        for module in network().decoder.modules()
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.AdaptiveAvgPool2d)
    ]
    assert len(pooled) == 1
    assert not any(isinstance(module, nn.BatchNorm2d) for module in pooled[0].modules())


def _learned_lines(detail: int) -> float:
    """Share of right pixels after learning lines of one pixel by heart."""
    chosen = network(detail_channels=detail, dropout=0.0).train()
    target = torch.zeros(1, 32, 32, dtype=torch.long)
    target[:, ::3] = 1
    image = target[:, None].float().repeat(1, 2, 1, 1) - 0.5 + 0.1 * images(1, 2, 32, 32)
    optimizer = torch.optim.Adam(chosen.parameters(), lr=0.01)
    for _ in range(25):
        optimizer.zero_grad()
        logits = chosen(image)
        F.cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return float((logits.argmax(dim=1) == target).float().mean())


def test_the_detail_branch_follows_lines_of_one_pixel() -> None:
    assert _learned_lines(detail=8) > 0.98
    assert _learned_lines(detail=0) < 0.9


def test_weights_are_those_of_the_seed() -> None:
    one, two = network().state_dict(), network().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    "encoder",
    [
        "nope",
        "tu-nope",
        "tu-",
        "densenet121",
        "tu-vgg11",
        "tu-swin_tiny_patch4_window7_224",
        "tu-vit_tiny_patch16_224",
    ],
)
def test_encoders_that_do_not_exist_or_cannot_be_dilated(encoder: str) -> None:
    with pytest.raises(ModelError, match=f"encoder '{encoder}' cannot be built: .+; take"):
        network(encoder=encoder)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("margin", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_water_grows_from_seeds_as_in_a_loop(classes: int, margin: float, threshold: float) -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(2, classes, 12, 13, dtype=torch.float64)
    before = logits.softmax(dim=1)
    after = require_seeds(logits, margin).softmax(dim=1)
    water, edge = 1 - before[:, 0], math.log(threshold / (1 - threshold))
    surer = 1 / (1 + math.exp(-edge - margin))
    for patch, row, col in np.ndindex(2, 12, 13):
        beside = water[patch, max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3]
        expected = water[patch, row, col] >= threshold and bool((beside >= surer).any())
        assert (1 - after[patch, 0, row, col] >= threshold) == expected
        kinds, kept = before[patch, 1:, row, col], after[patch, 1:, row, col]
        torch.testing.assert_close(kept / kept.sum(), kinds / kinds.sum())


def test_seeds_only_take_water_away_and_no_margin_changes_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 9, 9)
    assert torch.equal(require_seeds(logits, 0.0), logits)
    assert (require_seeds(logits, 1.0)[:, 1:] <= logits[:, 1:]).all()
    assert torch.equal(require_seeds(logits, 1.0)[:, :1], logits[:, :1])

"""`sarwater train --init`: fine-tuning a model, also the one in the box."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarwater.cli import main
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest
from sarwater.files import mark_as_own
from sarwater.models.boxed import boxed_model
from sarwater.models.bundle import load_bundle, save_bundle
from sarwater.normalize import Normalization, Normalizer
from sarwater.types import Units
from tests.tiny_models import segmenter_bundle
from tests.training.lakes import write_chips

QUICK = (
    *("--optimization.epochs", "1", "--patches.size", "64", "--patches.per_epoch", "2"),
    *("--optimization.batch_size", "2", "--accelerator", "cpu", "--threads", "1"),
)
FIXED = Normalization.FIXED
STILL = ("--optimization.learning_rate", "1e-12", "--optimization.min_learning_rate", "0")


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    (tmp_path / "chips").mkdir()
    return write_chips(tmp_path / "chips")


def test_a_run_starts_from_the_weights_network_and_normalization_of_a_model(
    chips: Path, tmp_path: Path
) -> None:
    start = segmenter_bundle(normalization=Normalizer(Normalization.PATCH, Units.DB))
    model, out = tmp_path / "m.safetensors", tmp_path / "run"
    save_bundle(model, start)
    given = ["train", str(chips), "--init", str(model), "--out", str(out), *QUICK, *STILL]
    assert main(given) == 0
    tuned = load_bundle(out / "model.safetensors")
    assert tuned.info.architecture == start.info.architecture
    assert tuned.info.normalization.kind == Normalization.PATCH
    for name, value in start.state.items():
        if name.endswith("weight"):
            np.testing.assert_allclose(tuned.state[name].numpy(), value.numpy(), atol=1e-6)


def test_a_normalization_that_is_named_is_kept(chips: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "run"
    save_bundle(model, segmenter_bundle())
    named = ("--normalization.kind", "domain")
    given = ["train", str(chips), "--init", str(model), "--out", str(out), *QUICK, *named]
    assert main(given) == 0
    found = load_bundle(out / "model.safetensors").info.normalization
    assert found.kind == Normalization.DOMAIN


def test_the_model_in_the_box_is_fine_tuned_on_decibels(chips: Path, tmp_path: Path) -> None:
    box, out = boxed_model(), tmp_path / "run"
    given = ["train", str(chips), "--init", str(box), "--out", str(out), *QUICK, *STILL]
    assert main(given) == 0
    tuned, start = load_bundle(out / "model.safetensors"), load_bundle(box)
    assert tuned.info.units == Units.DB
    assert tuned.info.architecture == start.info.architecture
    name = next(name for name in start.state if name.endswith("conv_stem.weight"))
    np.testing.assert_allclose(tuned.state[name].numpy(), start.state[name].numpy(), atol=1e-4)


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_weight_a_class_is_asked_for_before_anything_is_written(
    more: list[str], chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    terms = ("--loss.terms", "[{name: cross_entropy, class_weights: [1, 3, 8]}]")
    assert main(["train", str(chips), "--out", str(out), *QUICK, *terms, *more]) == 2
    shown = capsys.readouterr().err
    assert "loss.terms.0.class_weights has 3 values" in shown
    assert "2 classes (land, water)" in shown
    assert not out.exists()


def model_of(folder: Path, **changes: Any) -> Path:
    path = folder / "m.safetensors"
    save_bundle(path, segmenter_bundle(**changes))
    return path


def in_units(chips: Path, units: Units) -> Path:
    """Say of the chips, in decibels, that they are in other units."""
    table = chips.with_name(f"{units.value}.csv")
    records = tuple(replace(record, units=units) for record in read_manifest(chips))
    write_manifest(Manifest(records), table)
    return table


def test_a_range_of_other_units_gives_way_to_the_usual_one_with_a_warning(
    chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Powers of 0 ... 1 on a range of -25 ... 0 dB would all be cut off at one value."""
    model = model_of(tmp_path, normalization=Normalizer(FIXED, Units.DB, value_range=(-25, 0)))
    table, out = in_units(chips, Units.LINEAR), tmp_path / "run"
    given = ["--init", str(model), "--out", str(out), *QUICK]
    assert main(["train", str(table), *given]) == 0
    error = capsys.readouterr().err
    assert "warning: " in error
    assert "units linear, for which 0 ... 1 is taken" in error
    assert load_bundle(out / "model.safetensors").info.normalization.value_range is None
    assert main(["train", str(chips), *given, "--overwrite"]) == 0
    assert "warning: " not in capsys.readouterr().err
    assert load_bundle(out / "model.safetensors").info.normalization.value_range == (-25, 0)


def test_a_range_of_units_that_do_not_convert_is_refused_unless_a_normalization_is_named(
    chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_of(tmp_path, units=Units.BYTE, normalization=Normalizer(FIXED, Units.BYTE))
    given = ["train", str(chips), "--init", str(model), "--out", str(tmp_path / "run"), *QUICK]
    assert main(given) == 1
    error = capsys.readouterr().err
    assert "normalizes by a range of values in units 8bit" in error
    assert "or name a normalization" in error
    assert not (tmp_path / "run").exists()
    assert main([*given, "--normalization.kind", "dataset"]) == 0


def test_another_network_than_the_models_is_refused_and_the_same_one_may_be_named(
    chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = model_of(tmp_path), tmp_path / "run"
    given = ["train", str(chips), "--init", str(model), "--out", str(out), *QUICK]
    wrong = (
        "--model.encoder",
        "resnet18",
        "--model.decoder_channels",
        "16",
        "--model.dropout",
        ".3",
    )
    assert main([*given, *wrong]) == 2
    error = capsys.readouterr().err
    for found in ("encoder resnet18", "decoder_channels 16 (the model's: 8)", "dropout 0.3"):
        assert f"model.{found}" in error
    assert main([*given, "--model.encoder_weights", "w.pth"]) == 2
    assert "model.encoder_weights names w.pth" in capsys.readouterr().err
    assert not out.exists()
    assert main([*given, "--model.encoder", "tu-mobilenetv3_small_050"]) == 0


@pytest.mark.parametrize(("named", "size"), [((), 48), (("--patches.size", "32"), 32)])
def test_patches_are_as_large_as_the_models_unless_a_size_is_named(
    chips: Path, tmp_path: Path, named: tuple[str, ...], size: int
) -> None:
    model, out = model_of(tmp_path, patch_size=48), tmp_path / "run"
    others = [*QUICK[:2], *QUICK[4:]]
    assert (
        main(["train", str(chips), "--init", str(model), "--out", str(out), *others, *named]) == 0
    )
    assert load_bundle(out / "model.safetensors").info.patch_size == size


def test_encoder_weights_in_the_folder_that_would_be_replaced_are_kept(
    chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    mark_as_own(out, ["w.pth"])
    (out / "w.pth").write_bytes(b"weights")
    given = ["--out", str(out), "--overwrite", "--model.encoder_weights", str(out / "w.pth")]
    assert main(["train", str(chips), *given]) == 1
    assert "w.pth in it is to be read; name another place" in capsys.readouterr().err
    assert (out / "w.pth").read_bytes() == b"weights"


def test_a_run_that_goes_on_takes_no_other_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "data.csv", "--resume", str(tmp_path), "--init", "m.safetensors"])
    assert "goes on with its own settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("optimization: {epochs: 1}", Normalization.PATCH),
        ("normalization: {kind: domain}", Normalization.DOMAIN),
    ],
)
def test_a_config_names_a_normalization_or_leaves_the_models(
    text: str, kind: Normalization, chips: Path, tmp_path: Path
) -> None:
    model, out, config = tmp_path / "m.safetensors", tmp_path / "run", tmp_path / "c.yaml"
    save_bundle(model, segmenter_bundle(normalization=Normalizer(Normalization.PATCH, Units.DB)))
    config.write_text(text + "\n")
    given = ["train", str(chips), "--init", str(model), "--config", str(config), "--out", str(out)]
    assert main([*given, *QUICK]) == 0
    assert load_bundle(out / "model.safetensors").info.normalization.kind == kind

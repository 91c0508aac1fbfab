"""The model in the box: trained on all labelled events, scored with each event held out in turn.

command:  python experiments/boxed_model.py --data $SARWATER_DATA [--work DIR] [--jobs 2]
          [--install]; what is finished is not done again
hardware: two CPU cores, about two hours
result:   boxed_model.json in the work folder; with --install docs/results/boxed_model.json too,
          the model in the package, docs/model.md, and the pictures of where it fails. With
          --config another recipe is tried on the held-out events alone, with --pairs another
          number of simulated regions, each in a work folder of its own; the scores of all are in
          experiments/results/boxed_variants.json
"""

import argparse
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from commands import sarwater
from events import EVENTS, index_events, index_sen1floods11
from sarwater.datasets.manifest import ChipRecord, Manifest, read_manifest, write_manifest
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from scene_thresholds import at_scene_thresholds
from simulated_products import PAIRS, simulated

HERE = Path(__file__).parent
CONFIG = HERE / "boxed_model.yaml"
DOCS = HERE.parent / "docs"
RESULTS = DOCS / "results" / "boxed_model.json"
BOX = HERE.parent / "src" / "sarwater" / "models" / "boxed" / "water.safetensors"
VARIANTS = HERE / "results" / "boxed_variants.json"
WINDOW = 512
"""Side in pixels of the windows that scenes are mapped by."""
PIXEL_SIZE = 14.0
"""Metres, in the middle of 10 to 20, the detail of Sentinel-1's ground range products. The tiles of
the events have no CRS, so that no training can tell."""

ALL = "all"
VALIDATION = {
    "alabama": ("row", (6, 11, 16)),
    "nebraska": ("row", (5, 9, 14)),
    "bangladesh": ("col", (4, 13, 22, 31)),
}
"""Rows or columns of tiles that validate; all others train."""

THRESHOLDS = {
    "Otsu on VH, scene by scene": ("otsu", "--band", "VH"),
    "minimum error on VV, tiles": ("minimum-error", "--band", "VV"),
    "minimum error on VH, tiles": ("minimum-error", "--band", "VH"),
}
TUNED = {
    "one VV threshold after a 5 x 5 median": ("threshold", "--band", "VV", "--median", "5"),
    "one VH threshold after a 5 x 5 median": ("threshold", "--band", "VH", "--median", "5"),
}
"""Thresholds that are tuned on the other events."""


def joined(tables: Path, out: Path, names: list[str], splits: bool) -> Path:
    """Write the manifest of several events, once; with the splits train and val, or without."""
    parts: list[Any] = []
    for name in names:
        column, places = VALIDATION[name]
        for record in read_manifest(tables / f"{name}_all.csv"):
            split = "val" if getattr(record, column) in places else "train"
            parts.append(replace(record, split=split if splits else ""))
    if not out.exists():
        write_manifest(Manifest(tuple(parts)), out)
    return out


def learned_from(tables: Path, held_out: str) -> Path:
    """Write what a model learns from, once: events with their splits, and simulated regions."""
    out = tables / f"boxed_without_{held_out}.csv"
    if not out.exists():
        kept = [name for name in EVENTS if name != held_out]
        events = read_manifest(joined(tables, tables / f"{out.stem}_events.csv", kept, splits=True))
        write_manifest(Manifest(events.records + simulated(tables, "train").records), out)
    return out


def train(tables: Path, work: Path, held_out: str, config: Path) -> Path:
    """Train without an event, or go on, or return the model that is there."""
    run = work / f"without_{held_out}"
    if not (run / "train.json").exists():
        table = learned_from(tables, held_out)
        killed = (run / "checkpoints" / "last.pt").exists()
        options = ["--resume", run] if killed else ["--config", config, "--out", run, "--overwrite"]
        sarwater("train", table, *options, log=work / f"{run.name}.log")
    return run / "model.safetensors"


def evaluate(model: Path, table: Path, out: Path, *options: str) -> dict[str, Any]:
    """Score a model on all chips of a table, once."""
    printed = out.with_suffix(".json")
    if not printed.exists():
        line = ("evaluate", model, table, "--split", "", "--out", out, "--overwrite", "--json")
        sarwater(*line, *options, log=out.with_suffix(".log"), out=printed)
    return shortened(json.loads(printed.read_text()))


def baseline(table: Path, out: Path, *options: object) -> dict[str, Any]:
    """Score a threshold on all chips of a table, once."""
    printed = out.with_suffix(".json")
    if not printed.exists():
        line = ("baseline", *options, table, "--split", "", "--out", out, "--overwrite", "--json")
        sarwater(*line, "--panels", "0", log=out.with_suffix(".log"), out=printed)
    return shortened(json.loads(printed.read_text()))


def shortened(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of an evaluation that the tables show."""
    points = {}
    for name, point in summary["operating_points"].items():
        pooled = point["pooled"]
        scores = {key: pooled[key]["value"] for key in ("precision", "recall", "f1", "iou")}
        intervals = {f"{key}_interval": pooled[key]["interval"] for key in ("f1", "iou")}
        points[name] = {"threshold": point["threshold"], **scores, **intervals}
    return {"chips": summary["data"]["chips"], "pixels": summary["pixels"], "points": points}


def score(tables: Path, work: Path, name: str) -> dict[str, Any]:
    """Score the model that never saw an event on it, and the thresholds that a user would take."""
    others = [one for one in EVENTS if one != name]
    rest = joined(tables, tables / f"without_{name}.csv", others, splits=False)
    table = tables / f"{name}_all.csv"
    found = {
        title: baseline(table, work / f"{name}_baseline_{number}", *options)
        for number, (title, options) in enumerate(THRESHOLDS.items())
    }
    for number, (title, options) in enumerate(TUNED.items()):
        out = work / f"{name}_tuned_{number}"
        found[title] = baseline(table, out, *options, "--tune", rest)
    held_out = work / f"without_{name}" / "model.safetensors"
    return {
        "model": evaluate(held_out, table, work / f"{name}_scored"),
        "at_scene_threshold": scene_scores(held_out, table, work / f"{name}_scene.json"),
        "baselines": found,
    }


def scene_scores(model: Path, table: Path, out: Path) -> dict[str, Any]:
    """Score a model at the threshold that the event chooses for itself, once."""
    if not out.exists():
        chips = read_manifest(table)
        found = at_scene_thresholds(load_bundle(model), chips, lambda record: record.domain)
        out.write_text(json.dumps(found))
    kept: dict[str, Any] = json.loads(out.read_text())
    return kept


def unlabelled_decibels(tables: Path) -> Manifest:
    """Return the chips of Sen1Floods11's training split: dB, and here without labels."""
    return read_manifest(tables / "sen1floods11.csv").select(split="train")


def labelled_decibels(tables: Path) -> Manifest:
    """Return the labelled chips of its test split that have radar and labels."""
    table = read_manifest(tables / "sen1floods11.csv").select(split="test", labelled=True)
    kept = [one for one in table if one.domain not in ("Paraguay", "Ghana")]
    return Manifest(tuple(kept), table.path)


def boxed(tables: Path, work: Path) -> Bundle:
    """Return the final model as it is shipped, but for its card."""
    from calibration import decibel_statistics

    plain = load_bundle(work / f"without_{ALL}" / "model.safetensors")
    source = read_manifest(joined(tables, tables / "boxed_all.csv", list(EVENTS), splits=True))
    known = decibel_statistics(plain, source, unlabelled_decibels(tables))
    changes = {
        "decibel_statistics": known,
        "window": WINDOW,
        "scene_threshold": True,
        "pixel_size": PIXEL_SIZE,
    }
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in plain.state.items()
    }
    return Bundle(plain.info.model_copy(update=changes), half)


def score_elsewhere(
    path: Path, chips: Manifest, out: Path, scene_of: Callable[[ChipRecord], str]
) -> dict[str, Any]:
    """Score the final model on what is no event of its, and Otsu's threshold.

    Args:
        path: of the model.
        chips: labelled chips.
        out: table of them, which is written, and the beginning of the names of the results.
        scene_of: names the scene of a chip, which chooses a threshold of its own.
    """
    table = out.with_suffix(".csv")
    if not table.exists():
        write_manifest(chips, table)
    out.with_name(f"{out.name}_scored.json").unlink(missing_ok=True)
    otsu = baseline(
        table, out.with_name(f"{out.name}_otsu"), *THRESHOLDS["Otsu on VH, scene by scene"]
    )
    return {
        "model": evaluate(path, table, out.with_name(f"{out.name}_scored")),
        "at_scene_threshold": at_scene_thresholds(load_bundle(path), chips, scene_of),
        "otsu": otsu["points"]["chosen"]["iou"],
    }


def install(tables: Path, work: Path, model: Bundle, results: dict[str, Any]) -> None:
    """Put the model into the package, its card into the documents, and pictures beside it."""
    from boxed_card import card, draw_failures

    size = (work / "boxed.safetensors").stat().st_size
    text = card(model.info, results, size, json.loads(VARIANTS.read_text()))
    info = model.info.model_copy(update={"card": text})
    save_bundle(BOX, Bundle(info, model.state), overwrite=True)
    pictures = []
    for name in EVENTS:
        held_out = load_bundle(work / f"without_{name}" / "model.safetensors")
        picture = DOCS / "images" / f"model_{name}.png"
        event = read_manifest(tables / f"{name}_all.csv")
        draw_failures(held_out, event, name.capitalize(), picture)
        pictures.append(f"![Where the model errs in {name.capitalize()}](images/{picture.name})")
    (DOCS / "model.md").write_text("\n\n".join([text, "## Pictures", *pictures]) + "\n")


def note_variant(name: str, events: dict[str, Any]) -> None:
    """Keep the IoU that a recipe reaches on each event that it never saw."""
    known = json.loads(VARIANTS.read_text()) if VARIANTS.exists() else {}
    known[name] = {
        event: {
            "model_threshold": round(found["model"]["points"]["chosen"]["iou"], 4),
            "scene_threshold": round(found["at_scene_threshold"]["iou"], 4),
            "best_threshold": round(found["model"]["points"]["best"]["iou"], 4),
        }
        for event, found in events.items()
    }
    VARIANTS.write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/boxed"))
    parser.add_argument("--config", type=Path, default=CONFIG, help="another recipe, to try")
    parser.add_argument(
        "--pairs", type=int, default=PAIRS, help="pairs of simulated regions to train on"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--install", action="store_true")
    args = parser.parse_args()
    tables = args.work / "tables"
    index_events(args.data, tables)
    index_sen1floods11(args.data, tables / "sen1floods11.csv")
    simulated(tables, "train", args.pairs)  # before several trainings ask for them at once
    is_variant = args.config.resolve() != CONFIG.resolve() or args.pairs != PAIRS
    title = args.config.stem + (f"_{args.pairs}_pairs" if args.pairs != PAIRS else "")
    wanted = [*EVENTS] if is_variant else [*EVENTS, ALL]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda name: train(tables, args.work, name, args.config), wanted))
        scored = pool.map(lambda name: (name, score(tables, args.work, name)), EVENTS)
        events = dict(scored)
    note_variant(title, events)
    if is_variant:
        return
    model = boxed(tables, args.work)
    path = args.work / "boxed.safetensors"
    save_bundle(path, model, overwrite=True)
    chips, regions = labelled_decibels(tables), simulated(tables, "test")
    results = {
        "events": events,
        "sen1floods11": score_elsewhere(path, chips, args.work / "chips", lambda chip: chip.id),
        "simulated": score_elsewhere(
            path, regions, args.work / "simulated", lambda chip: chip.domain
        ),
        "decibel_chips": len(unlabelled_decibels(tables)),
        "simulated_chips": len(simulated(tables, "train")),
    }
    text = json.dumps(results, indent=1) + "\n"
    (args.work / RESULTS.name).write_text(text)
    if args.install:
        RESULTS.write_text(text)
        install(tables, args.work, model, results)


if __name__ == "__main__":
    main()

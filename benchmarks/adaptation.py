"""Which adaptation carries a model to a region without labels, measured on real events.

command:  python benchmarks/adaptation.py --data $SARWATER_DATA [--pairs NAME,..]
          [--methods NAME,..] [--seeds 0,1,2] [--jobs 2] [--work DIR]; finished runs are skipped
hardware: two CPU cores, about eight minutes a run and core; docs/adaptation.md says what it took
result:   benchmarks/results/adaptation.json: a row a run, and a summary of the pairs
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "adaptation.json"

BASE: dict[str, Any] = {
    "patches": {"size": 128, "strategy": "shoreline", "per_epoch": 800},
    "model": {
        "encoder": "tu-mobilenetv3_large_100",
        "decoder_channels": 128,
        "atrous_rates": [2, 4, 6],
        "detail_channels": 16,
    },
    "optimization": {
        "batch_size": 8,
        "schedule": "one_cycle",
        "warmup": 0.15,
        "average_decay": 0.99,
        "clip_norm": 5.0,
    },
    "run": {"threads": 1, "accelerator": "cpu", "devices": 1},
}
SOURCE_EPOCHS, FURTHER_EPOCHS = 6, 3  # of 100 steps
SOURCE_RATE, FURTHER_RATE = 3e-3, 1e-3


@dataclass(frozen=True)
class Pair:
    """A labelled source and a target, whose labels test only."""

    source: tuple[str, ...]
    target: str
    normalization: str = "domain"
    seeds: tuple[int, ...] = (0,)
    has_oracle: bool = True


PAIRS = {
    "bangladesh-alabama": Pair(("bangladesh",), "alabama", seeds=(0, 1, 2)),
    "bangladesh-nebraska": Pair(("bangladesh",), "nebraska"),
    "bangladesh-nebraska-raw": Pair(("bangladesh",), "nebraska", "dataset"),
    "alabama-bangladesh": Pair(("alabama",), "bangladesh"),
    "etci-sen1floods11": Pair(("alabama", "bangladesh"), "sen1floods11", has_oracle=False),
    "simulated": Pair(("north",), "south"),
}

STYLE = {"gain_db": 1.5, "band_gain_db": 1.0, "contrast": 0.3, "speckle_looks": 8.0}
TVERSKY = {"loss": {"terms": ["tversky"]}}
FOUNDING = {"loss": {"terms": ["cross_entropy", "tversky"], "learned_weights": True}}


@dataclass(frozen=True)
class Method:
    """What is done in the further steps; the source model is shared unless its loss differs."""

    adaptation: tuple[Any, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    source_loss: str = "cross_entropy"


METHODS = {
    "source_only": Method(),
    "adabn": Method(("adabn",)),
    "style": Method((), {"augmentation": STYLE}),
    "tversky": Method((), TVERSKY, "tversky"),
    "dann": Method(("dann",)),
    "founding": Method(("dann",), FOUNDING),
    "output_space": Method(("output_space",)),
    "self_training": Method(("self_training",)),
    "combination": Method(("self_training", "dann", "adabn")),
}
ORACLE = "oracle"
BEST = "combination"
"""What is put forward as the best combination."""

SMALLEST_GAP = 0.03
"""Gap in F1 below which no share of it is given."""

EVENTS = {
    "alabama": ("northal_20190302t234651", ("--by", "row", "--val", "6,11", "--test", "13-")),
    "nebraska": ("nebraska_20170213t002121", ("--by", "row", "--val", "5,9", "--test", "12-")),
    "bangladesh": ("bangladesh_20170314t115609", ("--by", "col", "--val", "4,13", "--test", "22-")),
}


def sarwater(*arguments: object) -> None:
    """Run a command of the package."""
    command = [sys.executable, "-m", "sarwater", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def prepare(data: Path, work: Path) -> None:
    """Write a manifest for each region, with the splits train, val and test."""
    from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest

    tables = work / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, (event, split) in EVENTS.items():
        if not (tables / f"{name}.csv").exists():
            every = tables / f"{name}_all.csv"
            event_folder = data / "etci2021" / event
            sarwater("index", event_folder, "--layout", "etci2021", "--out", every, "--overwrite")
            labelled = read_manifest(every).select(labelled=True)
            write_manifest(labelled, every, overwrite=True)
            sarwater("split", every, *split, "--out", tables / f"{name}.csv")
    if not (tables / "sen1floods11.csv").exists():
        every = tables / "sen1floods11_all.csv"
        folder = data / "sen1floods11"
        sarwater("index", folder, "--layout", "sen1floods11", "--out", every, "--overwrite")
        rows = tuple(replace(one, domain="sen1floods11") for one in read_manifest(every))
        write_manifest(Manifest(rows), tables / "sen1floods11.csv")
    if not (tables / "north.csv").exists():
        sarwater("simulate", "--out", work / "simulated", "--overwrite")
        both = read_manifest(work / "simulated" / "data.csv")
        south = both.select(domains=("south",))
        rows = tuple(replace(r, split="train" if r.split == "adapt" else r.split) for r in south)
        write_manifest(Manifest(rows), tables / "south.csv")
        write_manifest(both.select(domains=("north",)), tables / "north.csv")


def table(work: Path, names: tuple[str, ...]) -> Any:
    """Return the chips of some regions in one manifest."""
    from sarwater.datasets.manifest import Manifest, read_manifest

    parts = [read_manifest(work / "tables" / f"{name}.csv") for name in names]
    return Manifest(tuple(record for part in parts for record in part), parts[0].path)


def settings(pair: Pair, seed: int, epochs: int, rate: float, *more: dict[str, Any]) -> Any:
    """Build the settings of a run."""
    from sarwater.config import TrainSettings, build_settings, merge

    values = merge(
        BASE,
        {
            "normalization": {"kind": pair.normalization},
            "optimization": {"epochs": epochs, "learning_rate": rate},
            "run": {"seed": seed},
        },
    )
    for one in more:
        values = merge(values, one)
    return build_settings(TrainSettings, values, "benchmark")


def trained(chosen: Any, manifest: Any, out: Path, target: Any = None) -> Path:
    """Train, or go on, or return what is there."""
    from sarwater.training.start import resume, train

    if not (out / "train.json").exists():
        if (out / "checkpoints" / "last.pt").exists():
            resume(manifest, out, target)
        else:
            train(chosen, manifest, out, target=target, overwrite=True)
    return out / "model.safetensors"


def source_model(pair: Pair, seed: int, loss: str, work: Path) -> Path:
    """Return the source-only model, shared by all methods."""
    key = "+".join(pair.source)
    out = work / "source" / f"{key}-{pair.normalization}-{loss}-s{seed}"
    chosen = settings(pair, seed, SOURCE_EPOCHS, SOURCE_RATE, {"loss": {"terms": [loss]}})
    return trained(chosen, table(work, pair.source), out)


def run(name: str, method: str, seed: int, work: Path) -> dict[str, Any]:
    """Train one method and score it on the target's test part."""
    pair, begin = PAIRS[name], time.monotonic()
    target = table(work, (pair.target,))
    out = work / "runs" / f"{name}-{method}-s{seed}"
    if method == ORACLE:
        epochs = SOURCE_EPOCHS + FURTHER_EPOCHS
        bundle = trained(settings(pair, seed, epochs, SOURCE_RATE), target, out)
    else:
        chosen = METHODS[method]
        start = source_model(pair, seed, chosen.source_loss, work)
        parts = [one for one in ("train", "val") if one in target.splits]
        adaptation = {"methods": list(chosen.adaptation), "target_splits": parts}
        more = {"adaptation": adaptation, "model": {"init": str(start)}}
        full = settings(pair, seed, FURTHER_EPOCHS, FURTHER_RATE, chosen.settings, more)
        bundle = trained(full, table(work, pair.source), out, target)
    row = {"pair": name, "method": method, "seed": seed}
    return {**row, **score(bundle, out, target), "seconds": round(time.monotonic() - begin)}


def score(path: Path, out: Path, target: Any) -> dict[str, Any]:
    """Count hits and misses of a model on the target's test part, chip by chip."""
    import numpy as np

    from sarwater.evaluation.chips import ModelIdentity, evaluate
    from sarwater.evaluation.scores import curve
    from sarwater.models.bundle import load_bundle
    from sarwater.prediction import Predictor

    bundle = load_bundle(path)
    info = bundle.info
    who = ModelIdentity(path.name, bundle.hash, info.classes, info.threshold, "")
    predictor = Predictor(bundle, device="cpu")
    found = evaluate(
        predictor, target.select(split="test"), who, split="test", normalizer=info.normalization
    )
    pooled = found.counts.pooled()
    scores = curve(pooled)
    validation = json.loads((out / "train.json").read_text())["validation"]
    best = int(np.nanargmax(scores.f1))
    thresholds = {
        "chosen": info.threshold,
        "source": validation["threshold"],
        "half": 0.5,
        "best": (best + 1) / 1000,
    }
    result: dict[str, Any] = {"points": {}}
    for point, threshold in thresholds.items():
        at = round(threshold * 1000) - 1
        values = {
            n: round(float(getattr(scores, n)[at]), 4) for n in ("f1", "iou", "precision", "recall")
        }
        result["points"][point] = {"threshold": threshold, **values}
    result["chips"] = [chip.id for chip in found.chips]
    counts = found.counts
    for point in ("chosen", "source"):
        at = round(thresholds[point] * 1000) - 1
        arrays = (counts.tp, counts.fp, counts.fn)
        result["points"][point]["counts"] = [array[:, at].tolist() for array in arrays]
    result["history"] = history(out / "curves.csv")
    return result


def history(path: Path) -> list[dict[str, float]]:
    """Return the signals of each epoch."""
    import csv

    with path.open() as file:
        rows = list(csv.DictReader(file))
    kept = ("train_", "c_", "target_", "val_best_f1")
    return [
        {n: round(float(v), 5) for n, v in row.items() if n.startswith(kept) and v} for row in rows
    ]


def wanted(args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield the runs that were asked for, source models first."""
    methods = args.methods.split(",") if args.methods else [*METHODS, ORACLE]
    for name in args.pairs.split(",") if args.pairs else PAIRS:
        seeds = [int(s) for s in args.seeds.split(",")] if args.seeds else PAIRS[name].seeds
        for seed in seeds:
            for method in methods:
                if method != ORACLE or PAIRS[name].has_oracle:
                    yield name, method, seed


def read_rows() -> list[dict[str, Any]]:
    """Return the finished runs."""
    return json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return for each pair what each method reaches, and the share of the gap that it recovers.

    Source-only and oracle count at the thresholds chosen on their own validation chips, adapted
    models at the threshold chosen without labels. Differences are to the source-only model, with
    intervals of 95 % over 2,000 paired resamples of the chips; counts of several seeds are added.
    """
    pairs: dict[str, Any] = {}
    for name in dict.fromkeys(row["pair"] for row in rows):
        of_pair = [row for row in rows if row["pair"] == name]
        methods = {row["method"] for row in of_pair}
        found: dict[str, Any] = {}
        base = _counts([r for r in of_pair if r["method"] == "source_only"], "source")
        if base is not None:
            found["source_only"] = _scores(base, None)
        for method in sorted(methods - {"source_only"}):
            runs = [row for row in of_pair if row["method"] == method]
            found[method] = _scores(_counts(runs, "chosen"), base)
        label_free = [row for row in of_pair if row["method"] == "source_only"]
        found["threshold"] = _scores(_counts(label_free, "chosen"), base)
        for method, scores in found.items():
            own = "source_only" if method == "threshold" else method
            runs = [row for row in of_pair if row["method"] == own]
            scores["seeds"] = [row["seed"] for row in runs]
            scores["f1_of_seeds"] = [
                row["points"]["source" if method == "source_only" else "chosen"]["f1"]
                for row in runs
            ]
            best = [row["points"]["best"]["f1"] for row in runs]
            scores["best_f1"] = round(sum(best) / len(best), 4)
        if "oracle" in found and base is not None:
            gap = found["oracle"]["f1"] - found["source_only"]["f1"]
            for method, scores in found.items():
                if gap >= SMALLEST_GAP and method not in ("source_only", "oracle"):
                    gained = scores["f1"] - found["source_only"]["f1"]
                    scores["gap_recovered"] = round(gained / gap, 3)
            pairs[name] = {"gap": round(gap, 4)}
        share = found.get(BEST, {}).get("gap_recovered")
        pairs[name] = {**pairs.get(name, {}), "gap_recovered": share, "methods": found}
    return {"best": BEST, "runs": len(rows), "pairs": pairs}


def print_table() -> None:
    """Print the summary as a table for docs/adaptation.md."""
    rows = read_rows()
    summary = summarize(rows)
    titles = ("pair", "method", "F1", "[95 %]", "IoU", "precision", "recall")
    print(f"{len(rows)} runs.\n")
    print("| " + " | ".join((*titles, "difference [95 %]", "of the gap", "best F1")) + " |")
    print("|" + "---|" * (len(titles) + 3))
    for name, pair in summary["pairs"].items():
        for method, one in sorted(pair["methods"].items(), key=lambda item: -item[1]["f1"]):
            low, high = one["f1_interval"]
            gained = "-"
            if "difference" in one:
                bounds = "[{:+.3f}, {:+.3f}]".format(*one["difference_interval"])
                gained = f"{one['difference']:+.3f} {bounds}"
            share = f"{one['gap_recovered']:.0%}" if "gap_recovered" in one else "-"
            cells = [
                name,
                method,
                f"{one['f1']:.3f}",
                f"[{low:.3f}, {high:.3f}]",
                *(f"{one[score]:.3f}" for score in ("iou", "precision", "recall")),
                gained,
                share,
                f"{one['best_f1']:.3f}",
            ]
            print("| " + " | ".join(cells) + " |")


def _counts(runs: list[dict[str, Any]], point: str) -> Any:
    """Return [3, chip] hits, false alarms and misses, added over seeds; None without runs."""
    import numpy as np

    if not runs:
        return None
    return np.sum([row["points"][point]["counts"] for row in runs], axis=0)


def _scores(counts: Any, base: Any) -> dict[str, Any]:
    import numpy as np

    from sarwater.evaluation.bootstrap import interval, resample_weights
    from sarwater.evaluation.scores import scores

    def f1(some: Any) -> Any:
        return 2 * some[0] / np.maximum(2 * some[0] + some[1] + some[2], 1)

    found = scores(*counts.sum(axis=1))
    result: dict[str, Any] = {
        name: round(float(getattr(found, name)), 4) for name in ("f1", "iou", "precision", "recall")
    }
    weights = resample_weights(counts.shape[1], 2000, 0)
    drawn = f1(counts @ weights.T)
    result["f1_interval"] = [round(bound, 4) for bound in interval(drawn) or []]
    if base is not None:
        difference = drawn - f1(base @ weights.T)
        result["difference"] = round(float(f1(counts.sum(axis=1)) - f1(base.sum(axis=1))), 4)
        result["difference_interval"] = [round(bound, 4) for bound in interval(difference) or []]
    return result


def write_rows(rows: list[dict[str, Any]]) -> None:
    """Write the runs, and what follows from them."""
    rows = sorted(rows, key=lambda row: (row["pair"], row["seed"], row["method"]))
    RESULTS.parent.mkdir(exist_ok=True)
    aside = RESULTS.with_suffix(".part")
    aside.write_text(
        json.dumps({"summary": summarize(rows), "runs": rows}, separators=(",", ":")).replace(
            '{"pair"', '\n{"pair"'
        )
        + "\n"
    )
    aside.replace(RESULTS)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/adaptation"))
    parser.add_argument("--pairs")
    parser.add_argument("--methods")
    parser.add_argument("--seeds")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.table:
        print_table()
        return
    if args.one:
        name, method, seed = args.one.split("/")
        print(json.dumps(run(name, method, int(seed), args.work)))
        return
    if args.source:
        name, loss, seed = args.source.split("/")
        source_model(PAIRS[name], int(seed), loss, args.work)
        return
    prepare(args.data, args.work)
    rows = read_rows()
    if rows:
        write_rows(rows)
    done = {(row["pair"], row["method"], row["seed"]) for row in rows}
    missing = [one for one in wanted(args) if one not in done]
    print(f"{len(done)} runs are done, {len(missing)} are missing", flush=True)

    def execute(option: str, key: str) -> str | None:
        command = [sys.executable, __file__, option, key, "--work", str(args.work)]
        log = args.work / f"{key.replace('/', '-')}.log"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with log.open("w") as file:
            finished = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment
            )
        if finished.returncode:
            print(f"{key} failed: see {log}", flush=True)
            return None
        return finished.stdout

    def start(one: tuple[str, str, int]) -> None:
        key = "/".join(map(str, one))
        printed = execute("--one", key)
        if printed:
            row = json.loads(printed.splitlines()[-1])
            rows.append(row)
            write_rows(rows)
            reached = {point: found["f1"] for point, found in row["points"].items()}
            print(key, f"F1 {reached}", flush=True)

    # Source models first, each once: several runs begin with the same one.
    sources: dict[tuple[Any, ...], str] = {}
    for name, method, seed in missing:
        if method != ORACLE:
            pair, loss = PAIRS[name], METHODS[method].source_loss
            sources[pair.source, pair.normalization, loss, seed] = f"{name}/{loss}/{seed}"
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda key: execute("--source", key), sources.values()))
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(start, missing))


if __name__ == "__main__":
    main()

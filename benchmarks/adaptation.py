"""Which adaptation carries a model to a region without labels, measured on real events.

command:  python benchmarks/adaptation.py --data $SARWATER_DATA [--pairs NAME,..]
          [--methods NAME,..] [--seeds 0,1,2] [--jobs 2] [--work DIR]; finished runs are skipped
hardware: two CPU cores, about five minutes a run and core
result:   benchmarks/results/adaptation.json: a row a run, and a summary of the pairs
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adaptation_summary import ORACLE, print_tables, summarize

RESULTS = Path(__file__).parent / "results" / "adaptation.json"

BOXES = Path(__file__).parents[1] / "experiments" / "results" / "label_boxes.json"

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

    def measures(self, method: str) -> bool:
        """Whether a method makes sense here."""
        if method == ORACLE:
            return self.has_oracle
        chosen = METHODS[method]
        is_raw = chosen.renormalized or chosen.own_statistics != "never"
        return self.normalization == "dataset" or not is_raw


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
    match_classes: str = "auto"
    source_share: float = 0.0
    own_statistics: str = "never"
    renormalized: bool = False
    """Nothing is trained: the source-only model is run with the target's own statistics, where the
    pair gives both sides those of the source."""


METHODS = {
    "source_only": Method(match_classes="never"),
    "renormalized": Method(match_classes="never", renormalized=True),
    "style": Method((), {"augmentation": STYLE}, match_classes="never"),
    "tversky": Method((), TVERSKY, "tversky", match_classes="never"),
    "matched": Method((), match_classes="always"),
    "adabn": Method(("adabn",)),
    "dann": Method(("dann",)),
    "founding": Method(("dann",), FOUNDING),
    "output_space": Method(("output_space",)),
    "self_training": Method(("self_training",)),
    "all_three": Method(("self_training", "dann", "adabn")),
    "averaged": Method(match_classes="never", source_share=0.5),
    "dann_averaged": Method(("dann",), source_share=0.5),
    "founding_averaged": Method(("dann",), FOUNDING, source_share=0.5),
    "own_statistics": Method(("dann",), source_share=0.5, own_statistics="auto"),
    "combination": Method(("dann", "output_space"), source_share=0.5),
}
BEST = ("own_statistics", "dann_averaged")
"""What `sarwater adapt` is put forward with: the second is the first where no data set's statistics
normalize both sides."""

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
        south = both.select(domains=("south",)).records
        last = max(r.row or 0 for r in south if r.split == "adapt")
        south = tuple(
            replace(r, split="val" if r.row == last else "train") if r.split == "adapt" else r
            for r in south
        )
        write_manifest(Manifest(south), tables / "south.csv")
        write_manifest(both.select(domains=("north",)), tables / "north.csv")


def table(work: Path, names: tuple[str, ...]) -> Any:
    """Return the chips of some regions in one manifest."""
    from sarwater.datasets.manifest import Manifest, read_manifest

    parts = [read_manifest(work / "tables" / f"{name}.csv") for name in names]
    return Manifest(tuple(record for part in parts for record in part), parts[0].path)


def rightly_labelled(target: Any) -> Any:
    """Leave out Nebraska's tiles whose flood label is one straight-edged box over fields.

    They lie in the part that adapts: their images stay, only the oracle would learn from them.
    """
    boxes = {tile for event in json.loads(BOXES.read_text()).values() for tile in event["tiles"]}
    return replace(target, records=tuple(one for one in target if one.id not in boxes))


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
    if method != ORACLE and METHODS[method].renormalized:
        from adaptation_scores import choose_anew

        bundle = renormalize(name, seed, work, out)
        choose_anew(out, target, table(work, pair.source), "domain")
    elif method == ORACLE:
        target = rightly_labelled(target)
        epochs = SOURCE_EPOCHS + FURTHER_EPOCHS
        bundle = trained(settings(pair, seed, epochs, SOURCE_RATE), target, out)
    else:
        chosen = METHODS[method]
        start = source_model(pair, seed, chosen.source_loss, work)
        parts = [one for one in ("train", "val") if one in target.splits]
        adaptation = {"methods": list(chosen.adaptation), "target_splits": parts}
        adaptation["match_classes"] = chosen.match_classes
        adaptation["source_share"] = chosen.source_share
        adaptation["own_statistics"] = chosen.own_statistics
        more = {"adaptation": adaptation, "model": {"init": str(start)}}
        full = settings(pair, seed, FURTHER_EPOCHS, FURTHER_RATE, chosen.settings, more)
        bundle = trained(full, table(work, pair.source), out, target)
    from adaptation_scores import score

    trained_s = round(json.loads((out / "train.json").read_text())["seconds"])
    measured = score(bundle, out, target, table(work, pair.source), method == "source_only")
    row = {"pair": name, "method": method, "seed": seed, **measured}
    return {**row, "trained_s": trained_s, "seconds": round(time.monotonic() - begin)}


def renormalize(name: str, seed: int, work: Path, out: Path) -> Path:
    """Copy the source-only run, its model normalized by the statistics of the domain it meets."""
    from sarwater.models.bundle import Bundle, load_bundle, save_bundle
    from sarwater.normalize import Normalization

    plain = work / "runs" / f"{name}-source_only-s{seed}"
    if not (plain / "train.json").exists():
        run(name, "source_only", seed, work)
    shutil.copytree(plain, out, dirs_exist_ok=True)
    path = out / "model.safetensors"
    bundle = load_bundle(path)
    kind = dataclasses.replace(bundle.info.normalization, kind=Normalization.DOMAIN)
    info = bundle.info.model_copy(update={"normalization": kind})
    state = dict(bundle.state)
    save_bundle(path, Bundle(info, state), overwrite=True)
    return path


def rescore(name: str, method: str, seed: int, work: Path) -> dict[str, Any]:
    """Choose threshold and seeds of a finished run anew, without labels, and score it again.

    For when the rule has changed and the networks have not.
    """
    from adaptation_scores import choose_anew, score

    pair, target = PAIRS[name], table(work, (PAIRS[name].target,))
    out = work / "runs" / f"{name}-{method}-s{seed}"
    source = table(work, pair.source)
    if method != ORACLE:
        is_own = METHODS[method].renormalized
        choose_anew(out, target, source, "domain" if is_own else pair.normalization)
    measured = score(out / "model.safetensors", out, target, source, method == "source_only")
    return {"pair": name, "method": method, "seed": seed, **measured}


def wanted(args: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield the runs that were asked for, source models first."""
    methods = args.methods.split(",") if args.methods else [*METHODS, ORACLE]
    for name in args.pairs.split(",") if args.pairs else PAIRS:
        seeds = [int(s) for s in args.seeds.split(",")] if args.seeds else PAIRS[name].seeds
        for seed in seeds:
            for method in methods:
                if PAIRS[name].measures(method):
                    yield name, method, seed


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["pair"], row["method"], row["seed"]


def read_rows() -> list[dict[str, Any]]:
    """Return the finished runs."""
    return json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []


def write_rows(rows: list[dict[str, Any]]) -> None:
    """Write the runs, and what follows from them."""
    rows = sorted(rows, key=lambda row: (row["pair"], row["seed"], row["method"]))
    RESULTS.parent.mkdir(exist_ok=True)
    aside = RESULTS.with_suffix(".part")
    aside.write_text(
        json.dumps({"summary": summarize(rows, BEST), "runs": rows}, separators=(",", ":")).replace(
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
    parser.add_argument(
        "--rescore",
        action="store_true",
        help="choose thresholds of finished runs anew and score them, train nothing",
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--again", help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.table:
        print_tables(read_rows(), BEST)
        return
    if args.one:
        name, method, seed = args.one.split("/")
        print(json.dumps(run(name, method, int(seed), args.work)))
        return
    if args.again:
        name, method, seed = args.again.split("/")
        print(json.dumps(rescore(name, method, int(seed), args.work)))
        return
    if args.source:
        name, loss, seed = args.source.split("/")
        source_model(PAIRS[name], int(seed), loss, args.work)
        return
    prepare(args.data, args.work)
    rows = read_rows()
    if rows:
        write_rows(rows)
    done = {_key(row) for row in rows}
    missing = [one for one in wanted(args) if (one in done) == args.rescore]
    print(f"{len(done)} runs are done; {len(missing)} to go", flush=True)

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
        printed = execute("--again" if args.rescore else "--one", key)
        if printed:
            row = json.loads(printed.splitlines()[-1])
            for old in [known for known in rows if _key(known) == one]:
                row = {**old, **row}
                rows.remove(old)
            rows.append(row)
            write_rows(rows)
            reached = {point: found["f1"] for point, found in row["points"].items()}
            print(key, f"F1 {reached}", flush=True)

    # Source models first, each once: several runs begin with the same one.
    sources: dict[tuple[Any, ...], str] = {}
    for name, method, seed in missing:
        if method != ORACLE and not args.rescore:
            pair, loss = PAIRS[name], METHODS[method].source_loss
            sources[pair.source, pair.normalization, loss, seed] = f"{name}/{loss}/{seed}"
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda key: execute("--source", key), sources.values()))
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(start, missing))


if __name__ == "__main__":
    main()

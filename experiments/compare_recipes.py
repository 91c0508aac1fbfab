"""Losses, normalization, choice of patches and schedules, compared on real events.

command:  python experiments/compare_recipes.py --data $SARWATER_DATA [--only NAME,..]
          [--seeds 0,1] [--jobs 2] [--work DIR]; finished runs are skipped, --table prints
          and writes the scores into the heads of the files and README.md,
          --page HTML writes a page of the comparison
hardware: two CPU cores, about five minutes a run and core
result:   experiments/results/recipes.json: a row a run
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from commands import sarwater
from events import index_events
from sarwater.datasets.manifest import Manifest, read_manifest
from sarwater.evaluation.bootstrap import interval, resample_weights
from sarwater.evaluation.chips import Evaluation, ModelIdentity, evaluate
from sarwater.evaluation.scores import METRICS, curve
from sarwater.models.bundle import load_bundle
from sarwater.prediction import PredictionOptions, Predictor

HERE = Path(__file__).parent
FOLDER = HERE / "comparisons"
RESULTS = HERE / "results" / "recipes.json"
README = HERE / "README.md"
MARKS = ("<!-- recipes -->\n", "<!-- end of recipes -->\n")
"""Between them the README holds the scores."""
REFERENCE = "cross_entropy"
GROUPS = {
    "weights": ("weights_1_3", "weights_1_8"),
    "losses": (
        *("balanced", "focal_0", "focal_1", "focal_2", "focal_5", "dice"),
        *("tversky_fp", "tversky_half", "tversky_fn", "tversky_per_patch"),
        *("focal_tversky", "focal_tversky_below", "fixed_sum", "learned_sum"),
    ),
    "normalization": ("normalization_fixed", "normalization_dataset", "normalization_patch"),
    "sampling": ("sampling_grid", "sampling_stratified", "sampling_shoreline", "sampling_hard"),
    "optimization": ("plateau", "plateau_adamw", "not_averaged", "no_flips"),
}
"""What is compared with the reference, each a file of that name in ``comparisons``."""
SPLIT = ("--by", "row", "--train", "1-8", "--val", "10,11", "--test", "13-23")
TESTS = {"alabama": "test", "nebraska": None, "bangladesh": None}
"""Where a run is scored: its own region's test rows, and two events that it never saw."""
EVERY = {"bangladesh": 3}
"""Only each third tile counts where there are many."""

Row = dict[str, Any]


def names() -> list[str]:
    """Return the experiments, the reference first."""
    return [REFERENCE, *(name for group in GROUPS.values() for name in group)]


def tables(data: Path, work: Path) -> Path:
    """Write the manifests, once."""
    folder = work / "tables"
    index_events(data, folder)
    if not (folder / "alabama.csv").exists():
        every = folder / "alabama_all.csv"
        sarwater("split", every, *SPLIT, "--out", folder / "alabama.csv", log=work / "split.log")
    return folder


def run(name: str, seed: int, folder: Path, work: Path) -> Row:
    """Train an experiment, or go on, and score it."""
    out, begin = work / f"{name}-s{seed}", time.monotonic()
    if not (out / "train.json").exists():
        table = folder / "alabama.csv"
        killed = (out / "checkpoints" / "last.pt").exists()
        configs = ["--config", FOLDER / "base.yaml", "--config", FOLDER / f"{name}.yaml"]
        anew = [*configs, "--seed", seed, "--out", out, "--overwrite"]
        options = ["--resume", out] if killed else anew
        sarwater("train", table, *options, log=work / f"{name}-s{seed}.log")
    bundle = load_bundle(out / "model.safetensors")
    predictor = Predictor(bundle, PredictionOptions(device="cpu", threads=1))
    scored = {test: score(predictor, bundle.info.threshold, folder, test) for test in TESTS}
    trained = json.loads((out / "train.json").read_text())
    taken = {"trained_s": round(trained["seconds"]), "seconds": round(time.monotonic() - begin)}
    return {"name": name, "seed": seed, "best_epoch": trained["best_epoch"], **taken, **scored}


def score(predictor: Predictor, threshold: float, folder: Path, test: str) -> Row:
    """Count hits and misses of a model on a test, chip by chip."""
    return measured(counted(predictor, tested(folder, test)), threshold)


def tested(folder: Path, test: str) -> Manifest:
    """Return the chips of a test; ``val`` are those that choose thresholds.

    Those that train come with them without labels: the statistics that training normalized by are
    of both.
    """
    if test == "val":
        known = read_manifest(folder / "alabama.csv")
        train = [replace(one, labels=(), codes=()) for one in known.select(split="train")]
        return Manifest((*train, *known.select(split="val").records), known.path)
    split = TESTS[test]
    table = folder / ("alabama.csv" if split else f"{test}_all.csv")
    chips = read_manifest(table).select(split=split)
    return Manifest(chips.records[:: EVERY.get(test, 1)], chips.path)


def counted(predictor: Predictor, chips: Manifest) -> Evaluation:
    """Count at every threshold."""
    info = predictor.info
    who = ModelIdentity("", predictor.bundle.hash, info.classes, info.threshold, "")
    return evaluate(predictor, chips, who, normalizer=info.normalization)


def measured(found: Evaluation, threshold: float) -> Row:
    """Return the sweep, the scores at three thresholds, and counts by chip at the chosen one."""
    scores, counts = curve(found.counts.pooled()), found.counts
    best = best_threshold(found)

    def point(at: float) -> dict[str, float]:
        index = round(at * 1000) - 1
        values = {name: round(float(getattr(scores, name)[index]), 4) for name in METRICS}
        return {"threshold": at, **values}

    index = round(threshold * 1000) - 1
    return {
        "chosen": point(threshold),
        "half": point(0.5),
        "best": point(best),
        "sweep": [point(round(0.1 * step, 1)) for step in range(1, 9)],
        "counts": [array[:, index].tolist() for array in (counts.tp, counts.fp, counts.fn)],
    }


def best_threshold(found: Evaluation) -> float:
    """Return the threshold of the best F1 over all pixels."""
    return (int(np.nanargmax(curve(found.counts.pooled()).f1)) + 1) / 1000


def difference(rows: list[Row], name: str, test: str) -> list[float]:
    """Return the mean difference in F1 to the reference of the same seeds, and its interval.

    Of 95 %, over 2,000 paired resamples of the chips; counts of the seeds are added.
    """
    of = {
        key: {row["seed"]: row for row in rows if row["name"] == key} for key in (name, REFERENCE)
    }
    seeds = sorted(of[name].keys() & of[REFERENCE].keys())
    own, plain = (
        np.sum([of[key][seed][test]["counts"] for seed in seeds], axis=0)
        for key in (name, REFERENCE)
    )
    weights = resample_weights(own.shape[1], 2000, 0)
    drawn = _f1(own @ weights.T) - _f1(plain @ weights.T)
    middle = float(_f1(own.sum(axis=1)) - _f1(plain.sum(axis=1)))
    return [round(value, 4) for value in (middle, *(interval(drawn) or ()))]


def _f1(counts: Any) -> Any:
    return 2 * counts[0] / np.maximum(2 * counts[0] + counts[1] + counts[2], 1)


def print_tables(rows: list[Row]) -> None:
    """Print F1 at the chosen threshold with differences to the reference, and the sweeps."""
    for group, members in GROUPS.items():
        print(f"\n{group}\n")
        heads = (f"{test.capitalize()}: F1, difference" for test in TESTS)
        print_row("experiment", "epoch kept", *heads, is_head=True)
        for name in (REFERENCE, *members):
            own = [row for row in rows if row["name"] == name]
            if own:
                cells = (scores_on(test, name, rows) for test in TESTS)
                kept = ", ".join(str(row["best_epoch"]) for row in own)
                print_row(f"`{name}`", kept, *cells)
    print("\nbetween two seeds of an experiment: median and largest difference\n")
    for test in TESTS:
        if found := apart(rows, test):
            print(f"{test}: {np.median(found):.3f}, {max(found):.3f} ({len(found)} experiments)")
    for name in (REFERENCE, *GROUPS["weights"]):
        own = [row for row in rows if row["name"] == name]
        if own:
            print(f"\n{name}, mean of {len(own)}\n")
            heads = (f"{test.capitalize()}: P / R / F1" for test in TESTS)
            print_row("threshold", *heads, is_head=True)
            for step in range(8):
                print_row(f".{step + 1}", *(mean_point(own, test, step) for test in TESTS))


def apart(rows: list[Row], test: str) -> list[float]:
    """Return how far F1 of two seeds of the same experiment lie apart, an experiment each."""
    of: dict[str, list[float]] = {}
    for row in rows:
        of.setdefault(row["name"], []).append(row[test]["chosen"]["f1"])
    return [max(own) - min(own) for own in of.values() if len(own) > 1]


def scores_on(test: str, name: str, rows: list[Row]) -> str:
    """Return F1 of an experiment on a test, and the difference to the reference with interval."""
    own = mean_f1([row for row in rows if row["name"] == name], test)
    if name == REFERENCE:
        return f"{own:.3f}"
    return "{:.3f}, {:+.3f} [{:+.3f}, {:+.3f}]".format(own, *difference(rows, name, test))


def mean_point(rows: list[Row], test: str, step: int) -> str:
    """Return mean precision, recall and F1 at a threshold of the sweep."""
    points = [row[test]["sweep"][step] for row in rows]
    means = (np.mean([point[key] for point in points]) for key in ("precision", "recall", "f1"))
    return " / ".join(f"{mean:.3f}".lstrip("0") for mean in means)


def print_row(*cells: object, is_head: bool = False) -> None:
    """Print a row of a Markdown table."""
    print(table_row(*cells, is_head=is_head))


def table_row(*cells: object, is_head: bool = False) -> str:
    """Return a row of a Markdown table."""
    line = f"| {' | '.join(map(str, cells))} |"
    return line + "\n" + "| --- " * len(cells) + "|" if is_head else line


def mean_f1(rows: list[Row], test: str) -> float:
    """Return the mean over seeds of F1 at the chosen threshold."""
    return float(np.mean([row[test]["chosen"]["f1"] for row in rows]))


def write_heads(rows: list[Row]) -> None:
    """Write time and scores into the last line of the heads of the experiments' files."""
    for name in names():
        own = [row for row in rows if row["name"] == name]
        if own:
            minutes = np.mean([max(row["trained_s"], row["seconds"]) for row in own]) / 60
            scores = ", ".join(f"{mean_f1(own, test):.3f} {test.capitalize()}" for test in TESTS)
            seeds = " and ".join(str(row["seed"]) for row in own)
            path = FOLDER / f"{name}.yaml"
            lines = path.read_text().splitlines(keepends=True)
            lines[2] = (
                f"# hardware and time, score: one of two CPU cores, {minutes:.0f} min a seed; "
                f"F1 {scores} (seed {seeds})\n"
            )
            path.write_text("".join(lines))


def write_readme(rows: list[Row]) -> None:
    """Write what each experiment is, its scores and its time into the README."""
    lines = [table_row("experiment", "what", "runs", *map(str.capitalize, TESTS), is_head=True)]
    for name in names():
        own = [row for row in rows if row["name"] == name]
        if own:
            what = (FOLDER / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")
            scores = (f"{mean_f1(own, test):.3f}" for test in TESTS)
            lines.append(table_row(f"`{name}`", what, len(own), *scores))
    text, (begin, end) = README.read_text(), MARKS
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    README.write_text(before + begin + "\n".join([*lines, ""]) + end + after)


def write_page(folder: Path, work: Path, seed: int, page: Path) -> None:
    """Evaluate a seed's runs on the rows of their own region, and put them on one page."""
    (work / "evaluations").mkdir(exist_ok=True)
    for name in names():
        model, out = work / f"{name}-s{seed}" / "model.safetensors", work / "evaluations" / name
        if not (out / "evaluation.json").exists():
            line = ("evaluate", model, folder / "alabama.csv", "--split", "test", "--out", out)
            sarwater(*line, "--panels", "0", "--overwrite", log=out.with_suffix(".log"))
    compared = []
    for group, members in GROUPS.items():
        runs = [work / "evaluations" / name for name in (REFERENCE, *members)]
        compared.append(work / "compared" / group)
        line = ("compare", *runs, "--out", compared[-1], "--overwrite")
        sarwater(*line, log=work / f"{group}.log")
    sarwater("report", *compared, "--out", page, "--overwrite", log=work / "page.log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--page", type=Path, help="write a page of seed 0's runs, train nothing")
    parser.add_argument("--table", action="store_true", help="print what is there, heads too")
    args = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    if args.table:
        print_tables(rows)
        write_heads(rows)
        write_readme(rows)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    folder = tables(args.data, args.work)
    if args.page:
        write_page(folder, args.work, 0, args.page)
        return
    done = {(row["name"], row["seed"]) for row in rows}
    chosen = args.only.split(",") if args.only else names()
    wanted = [(name, int(seed)) for seed in args.seeds.split(",") for name in chosen]
    missing = [one for one in wanted if one not in done]
    print(f"{len(done)} runs are done; {len(missing)} to go", flush=True)

    def start(one: tuple[str, int]) -> None:
        row = run(*one, folder, args.work)
        rows.append(row)
        RESULTS.parent.mkdir(exist_ok=True)
        text = ",\n".join(json.dumps(one) for one in sorted(rows, key=_key))
        aside = RESULTS.with_suffix(".part")
        aside.write_text(f'{{"runs": [\n{text}\n]}}\n')
        aside.replace(RESULTS)
        print(one, {test: row[test]["chosen"]["f1"] for test in TESTS}, flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(start, missing))


def _key(row: Row) -> tuple[str, int]:
    return row["name"], row["seed"]


if __name__ == "__main__":
    main()

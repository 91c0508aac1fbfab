"""The model in the box: trained on all labelled events, scored with each event held out in turn.

command:  python experiments/boxed_model.py --data $SARWATER_DATA [--work DIR] [--jobs 2];
          what is finished is not done again
hardware: two CPU cores, about two hours
result:   docs/results/boxed_model.json (quoted by docs/model.md), and with --install the model in
          the package
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from events import EVENTS, index_events, index_sen1floods11
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest

HERE = Path(__file__).parent
CONFIG = HERE / "boxed_model.yaml"
ALL = "all"
VALIDATION = {
    "alabama": ("row", (6, 11, 16)),
    "nebraska": ("row", (5, 9, 14)),
    "bangladesh": ("col", (4, 13, 22, 31)),
}
"""Rows or columns of tiles that validate; all others train."""


def training_table(tables: Path, held_out: str) -> Path:
    """Write the manifest of all events but one, with the splits train and val."""
    out = tables / f"boxed_without_{held_out}.csv"
    parts = [
        replace(record, split="val" if getattr(record, column) in places else "train")
        for name, (column, places) in VALIDATION.items()
        if name != held_out
        for record in read_manifest(tables / f"{name}_all.csv")
    ]
    if not out.exists():
        write_manifest(Manifest(tuple(parts)), out)
    return out


def train(tables: Path, work: Path, held_out: str) -> Path:
    """Train without an event, or go on, or return the model that is there."""
    run = work / f"without_{held_out}"
    if not (run / "train.json").exists():
        table = training_table(tables, held_out)
        killed = (run / "checkpoints" / "last.pt").exists()
        options = ["--resume", run] if killed else ["--config", CONFIG, "--out", run, "--overwrite"]
        command = [sys.executable, "-m", "sarwater", "train", table, *options]
        with (work / f"{run.name}.log").open("w") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [*map(str, command)], check=True, stdout=log, stderr=log, env=environment
            )
    return run / "model.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/boxed"))
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    tables = args.work / "tables"
    index_events(args.data, tables)
    index_sen1floods11(args.data, tables / "sen1floods11.csv")
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda name: train(tables, args.work, name), [*EVENTS, ALL]))


if __name__ == "__main__":
    main()

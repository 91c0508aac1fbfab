"""How closely a run that was stopped and resumed agrees with one that was not.

command:  python benchmarks/resume.py [--accelerator cuda] --json benchmarks/results/resume_cpu.json
hardware: any; about three minutes on two CPU cores
promise:  0 on one CPU with the same threads; on CUDA, validation F1 within .01
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from sarwater.datasets.simulated import write_pair
from sarwater.models.bundle import load_bundle

SETTINGS = [
    *("--data.domains", "north", "--patches.size", "64", "--patches.per_epoch", "96"),
    *("--patches.strategy", "hard", "--augmentation.speckle_looks", "8"),
    *("--model.encoder", "tu-mobilenetv3_small_050", "--model.decoder_channels", "32"),
    *("--optimization.epochs", "4", "--optimization.average_decay", "0.9"),
    *("--checkpoint-minutes", "0", "--threads", "1"),
]


def sarwater(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "sarwater", *arguments])


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")


def stop_in_second_epoch(process: subprocess.Popen[bytes], run: Path) -> None:
    while process.poll() is None and not (run / "curves.csv").exists():
        time.sleep(0.01)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    if process.wait() == 0:
        raise SystemExit("the run ended before it could be stopped; give it more epochs")


def measure(folder: Path, accelerator: str) -> dict[str, Any]:
    write_pair(folder / "data", size=768, chip_size=128)
    table = str(folder / "data" / "data.csv")
    options = [*SETTINGS, "--accelerator", accelerator, "--devices", "1"]
    whole, stopped = folder / "whole", folder / "stopped"
    finish(sarwater("train", table, "--out", str(whole), *options))
    process = sarwater("train", table, "--out", str(stopped), *options)
    stop_in_second_epoch(process, stopped)
    finish(sarwater("train", table, "--resume", str(stopped)))
    states = [load_bundle(run / "model.safetensors").state for run in (whole, stopped)]
    summaries = [json.loads((run / "train.json").read_text()) for run in (whole, stopped)]
    scores = [summary["validation"]["f1"] for summary in summaries]
    return {
        "device": summaries[0]["device"],
        "torch": torch.__version__,
        "largest_difference_of_a_weight": max(
            float((one.double() - other.double()).abs().max())
            for one, other in zip(states[0].values(), states[1].values(), strict=True)
        ),
        "validation_f1": scores,
        "difference_of_validation_f1": abs(scores[0] - scores[1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerator", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args.accelerator)
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if args.json is not None:
        args.json.write_text(text)


if __name__ == "__main__":
    main()

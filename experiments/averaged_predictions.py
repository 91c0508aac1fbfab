"""Test-time flips and ensembles of seeds: what averaging predictions is worth.

command:  python experiments/averaged_predictions.py --data $SARWATER_DATA [--recipe cross_entropy]
          [--seeds 0,1]; after compare_recipes.py, whose runs it scores
hardware: two CPU cores, about ten minutes
result:   experiments/results/averaged_predictions.json
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compare_recipes import RESULTS, TESTS, Row, best_threshold, counted, score, tables, tested
from sarwater.engines import Engine
from sarwater.models.bundle import load_bundle
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.types import FloatArray

OUT = RESULTS.with_name("averaged_predictions.json")


class MeanEngine:
    """Averages the probabilities of engines, of each also over mirrored patches if wanted."""

    name, best_batch = "mean", 1

    def __init__(self, engines: Sequence[Engine], *, flips: bool) -> None:
        """Take engines of the same normalization."""
        self._engines = engines
        self.parallel = engines[0].parallel
        self._axes: list[tuple[int, ...]] = [(), (-1,), (-2,), (-2, -1)] if flips else [()]

    def predict(self, patches: FloatArray) -> FloatArray:
        """Return the mean probability of each class."""
        found = [
            np.flip(engine.predict(np.ascontiguousarray(np.flip(patches, axes))), axes)
            for engine in self._engines
            for axes in self._axes
        ]
        return np.asarray(np.mean(found, axis=0), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--recipe", default="cross_entropy")
    parser.add_argument("--seeds", default="0,1")
    args = parser.parse_args()
    folder = tables(args.data, args.work)
    options = PredictionOptions(device="cpu")
    single = [
        Predictor(load_bundle(args.work / f"{args.recipe}-s{seed}" / "model.safetensors"), options)
        for seed in args.seeds.split(",")
    ]
    chosen = {
        **{f"seed {seed}": [one] for seed, one in zip(args.seeds.split(","), single, strict=True)},
        f"seeds {args.seeds} averaged": single,
    }
    rows: list[Row] = []
    for title, members in chosen.items():
        for flips in (False, True):
            engine = MeanEngine([one.engine for one in members], flips=flips)
            mean = Predictor(members[0].bundle, options, engine=engine)
            threshold = best_threshold(counted(mean, tested(folder, "val")))
            scored = {test: score(mean, threshold, folder, test) for test in TESTS}
            rows.append({"name": title, "flips": flips, "threshold": threshold, **scored})
            print(title, flips, {test: scored[test]["chosen"]["f1"] for test in TESTS}, flush=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    OUT.write_text(f'{{"recipe": "{args.recipe}", "rows": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

"""How fast whole scenes are mapped, beside what others do with the same network and scene.

command:  python benchmarks/mapping.py [--quick] [--scene FILE] [--model FILE] [--json FILE]
          [--repeats 3] [--only NAME,..] [--large | --tall] [--decibels]
hardware: two CPU cores; --quick ends within ten minutes. Nothing else should run
result:   benchmarks/results/mapping.json: a row a contender and repeat, and a summary

Each contender runs in a process of its own and begins with the scene's file. `bare` is the engine
alone on patches that lie in memory, `ours no network` all but the engine; `eager` is the loop that
one writes first; `monai` is `sliding_window_inference`, which needs MONAI (`pip install monai`;
passed over where it is not there). All windows are 512 px with an overlap of 64, normalized by the
statistics in the model, at a threshold of .5; `ours defaults` is `sarwater map SCENE`, which takes
statistics and threshold from the scene.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "mapping.json"
PATCH, OVERLAP = 512, 64
SIDES = {
    "quick": (3072, 3072),
    "scene": (9216, 11264),
    "large": (17000, 25000),
    "tall": (34000, 25000),
}

CONTENDERS = {
    "ours openvino bfloat16": ("ours", "openvino", "bfloat16"),
    "ours openvino float32": ("ours", "openvino", "float32"),
    "ours torch float32": ("ours", "torch", "float32"),
    "ours torch bfloat16": ("ours", "torch", "bfloat16"),
    "ours defaults": ("ours", "auto", "auto"),
    "ours no network": ("ours", "none", ""),
    "bare openvino bfloat16": ("bare", "openvino", "bfloat16"),
    "bare openvino float32": ("bare", "openvino", "float32"),
    "eager float32": ("eager", "", "float32"),
    "eager bfloat16": ("eager", "", "bfloat16"),
    "monai float32": ("monai", "", "float32"),
    "monai bfloat16": ("monai", "", "bfloat16"),
    "geoai float32": ("geoai", "", "float32"),
    "geoai bfloat16": ("geoai", "", "bfloat16"),
    "terratorch float32": ("terratorch", "", "float32"),
    "terratorch bfloat16": ("terratorch", "", "bfloat16"),
}
PEERS = ("monai", "geoai", "terratorch")
REFERENCE = "ours torch float32"
LONG = {
    "large": (
        "ours openvino bfloat16",
        "ours defaults",
        "bare openvino bfloat16",
        "ours no network",
    ),
    "tall": ("ours openvino bfloat16",),
}
"""Scenes that take long, and who maps them where none is named."""


def make_scene(path: Path, height: int, width: int, *, decibels: bool) -> None:
    """Write rivers and fields under speckle as two bands, blocks of 512 px, deflate.

    They are of bytes, or of decibels in float32, as processing chains write them.
    """
    import rasterio
    from scipy import ndimage

    random, side = np.random.default_rng(0), 2048
    smooth = ndimage.gaussian_filter(random.normal(size=(side, side)), 12, mode="wrap")
    water = smooth > np.quantile(smooth, 0.9)
    level = np.stack([np.where(water, 60.0, 130.0), np.where(water, 45.0, 115.0)])
    field = ndimage.gaussian_filter(random.normal(size=(side, side)), 30, mode="wrap")
    level += 15 * field / field.std()
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 2,
        "dtype": "float32" if decibels else "uint8",
        "nodata": -9999 if decibels else 255,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "crs": "EPSG:32646",
        "transform": rasterio.Affine(10, 0, 300_000, 0, -10, 2_700_000),
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.descriptions = ("VV", "VH")
        for row in range(0, height, 512):
            rows = min(512, height - row)
            lines = (row + np.arange(rows)) % side
            wide = np.take(level[:, lines], np.arange(width) % side, axis=2)
            speckle = 10 * np.log10(random.gamma(4, 1 / 4, wide.shape)) * 255 / 30
            image = np.clip(wide + speckle, 0, 254)
            image = (image / 8.5 - 30).astype(np.float32) if decibels else image.astype(np.uint8)
            dataset.write(image, window=rasterio.windows.Window(0, row, width, rows))


def window_pixels(height: int, width: int) -> int:
    """Return the pixels of all windows over a scene, overlap counted twice."""
    from sarwater.tiling import window_starts

    windows = len(window_starts(height, PATCH, OVERLAP)) * len(window_starts(width, PATCH, OVERLAP))
    return windows * PATCH * PATCH


class NoNetwork:
    """An engine that answers at once: what is left is reading, blending and writing."""

    name, best_batch, parallel = "none", 1, os.cpu_count() or 1

    def __init__(self) -> None:
        """Make an answer of rivers."""
        from scipy import ndimage

        smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(PATCH, PATCH)), 4)
        water = 1 / (1 + np.exp(-4 * smooth / smooth.std()))
        self._answer = np.stack([1 - water, water]).astype(np.float32)

    def predict(self, patches: Any) -> Any:
        """Return a copy of the answer for each patch."""
        return np.repeat(self._answer[None], len(patches), axis=0)


def run_ours(scene: Path, model: Path, engine: str, precision: str, out: Path) -> float:
    """Map the scene, from its file to finished files."""
    from sarwater.mapping.inputs import SceneSource
    from sarwater.mapping.options import MapOptions
    from sarwater.mapping.scenes import map_scene
    from sarwater.models.bundle import load_bundle
    from sarwater.normalize import Normalization
    from sarwater.prediction import PredictionOptions, Predictor

    options, chosen = PredictionOptions(precision=precision), MapOptions()
    if engine != "auto":
        options = replace(options, engine=engine, device="cpu", overlap=OVERLAP)
        options = replace(options, normalization=Normalization.DATASET)
        chosen = MapOptions(threshold=0.5)
    own = NoNetwork() if engine == "none" else None
    predictor = Predictor(load_bundle(model), options, engine=own)
    begin = time.perf_counter()
    map_scene(SceneSource((scene,)), predictor, out, chosen, say=lambda _: None)
    return time.perf_counter() - begin


def run_bare(scene: Path, model: Path, engine: str, precision: str, _: Path) -> float:
    """Run the engine alone on as many patches, at most two hundred of which are measured."""
    from concurrent.futures import ThreadPoolExecutor

    import rasterio

    from sarwater.engines import engine_for
    from sarwater.models.bundle import load_bundle

    runner = engine_for(load_bundle(model), engine=engine, device="cpu", precision=precision)
    patches = [
        np.random.default_rng(i).normal(size=(1, 2, PATCH, PATCH)).astype(np.float32)
        for i in range(8)
    ]
    with rasterio.open(scene) as dataset:
        wanted = window_pixels(dataset.height, dataset.width) // PATCH**2
    count = min(wanted, 200)
    with ThreadPoolExecutor(runner.parallel) as pool:
        list(pool.map(runner.predict, patches))
        begin = time.perf_counter()
        for _done in pool.map(lambda i: runner.predict(patches[i % 8]).size, range(count)):
            pass
    return (time.perf_counter() - begin) * wanted / count


class Probabilities:
    """The network as a peer calls it: normalized windows to the probability of each class."""

    def __init__(self, model: Path, precision: str) -> None:
        """Build the network."""
        import torch

        from sarwater.models.bundle import load_bundle

        self.bundle = load_bundle(model)
        self.reduced = precision == "bfloat16"
        self.network: Any = self.bundle.build()
        if self.reduced:
            self.network = self.network.to(memory_format=torch.channels_last)

    def __call__(self, image: Any) -> Any:
        """Return the softmax [n, class, row, col] of normalized windows [n, band, row, col]."""
        import torch

        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.reduced):
            if self.reduced:
                image = image.contiguous(memory_format=torch.channels_last)
            return self.network(image).float().softmax(1)

    def normalized(self, image: Any) -> Any:
        """Normalize an image [band, row, col], in place."""
        known = self.bundle.info.normalization.statistics
        assert known is not None
        image -= np.asarray(known.mean, np.float32)[:, None, None]
        image /= np.asarray(known.std, np.float32)[:, None, None]
        return image

    def read(self, scene: Path) -> tuple[Any, Any]:
        """Return a whole scene, normalized [1, 2, row, col], and the file's profile."""
        import rasterio
        import torch

        with rasterio.open(scene) as dataset:
            image, profile = dataset.read().astype(np.float32), dataset.profile
        return torch.from_numpy(self.normalized(image))[None], profile


def save_plain(water: Any, profile: Any, out: Path) -> None:
    """Write a mask and a probability, as one does at the end of such a loop."""
    import rasterio

    assert water.shape == (profile["height"], profile["width"]), water.shape
    out.mkdir()
    plain = profile | {"count": 1, "nodata": None}
    with rasterio.open(out / "scene_water.tif", "w", **plain) as dataset:
        dataset.write((water >= 0.5).astype(np.uint8), 1)
    with rasterio.open(out / "scene_probability.tif", "w", **plain | {"dtype": "float32"}) as file:
        file.write(water.astype(np.float32), 1)


def run_eager(scene: Path, model: Path, _: str, precision: str, out: Path) -> float:
    """Window by window, averaged where windows overlap: the loop that one writes first."""
    import torch

    from sarwater.tiling import window_starts

    network = Probabilities(model, precision)
    begin = time.perf_counter()
    image, profile = network.read(scene)
    height, width = image.shape[-2:]
    sums, weights = torch.zeros(height, width), torch.zeros(height, width)
    rows, cols = (window_starts(length, PATCH, OVERLAP) for length in (height, width))
    with torch.inference_mode():
        for row, col in itertools.product(rows, cols):
            water = network(image[..., row : row + PATCH, col : col + PATCH])[0, 1]
            sums[row : row + PATCH, col : col + PATCH] += water
            weights[row : row + PATCH, col : col + PATCH] += 1
    save_plain((sums / weights).numpy(), profile, out)
    return time.perf_counter() - begin


def run_monai(scene: Path, model: Path, _: str, precision: str, out: Path) -> float:
    """MONAI's sliding window inference, four windows at a time, blended by constants."""
    import torch
    from monai.inferers import sliding_window_inference

    network = Probabilities(model, precision)
    begin = time.perf_counter()
    image, profile = network.read(scene)
    with torch.inference_mode():
        found = sliding_window_inference(image, (PATCH, PATCH), 4, network, OVERLAP / PATCH)
    save_plain(found[0, 1].numpy(), profile, out)
    return time.perf_counter() - begin


def run_geoai(scene: Path, model: Path, _: str, precision: str, out: Path) -> float:
    """Map by the scene predictor of geoai, with its own batch and blending; it writes classes."""
    import torch
    from geoai.inference import predict_geotiff

    class Network(torch.nn.Module):
        """What geoai moves to a device and calls."""

        forward = staticmethod(Probabilities(model, precision))

    known = Probabilities(model, "float32")
    begin = time.perf_counter()
    out.mkdir()
    predict_geotiff(
        Network(),
        str(scene),
        str(out / "scene_water.tif"),
        tile_size=PATCH,
        overlap=OVERLAP,
        num_classes=2,
        output_dtype="uint8",
        output_nodata=255,
        preprocess_fn=known.normalized,
        postprocess_fn=lambda found: (found[1:] >= 0.5).astype(np.float32),
        device="cpu",
        verbose=False,
    )
    return time.perf_counter() - begin


def run_terratorch(scene: Path, model: Path, _: str, precision: str, out: Path) -> float:
    """Map by terratorch's tiled inference, with its own batch, blending and padding."""
    from terratorch.tasks.tiled_inference import tiled_inference

    network = Probabilities(model, precision)
    begin = time.perf_counter()
    image, profile = network.read(scene)
    stride = PATCH - OVERLAP
    # It leaves out the outermost pixels of each tile, at least one: without any it returns nothing.
    found: Any = tiled_inference(network, image, crop=PATCH, stride=stride)
    save_plain(found[0, 1].numpy(), profile, out)
    return time.perf_counter() - begin


RUNNERS = {
    "ours": run_ours,
    "bare": run_bare,
    "eager": run_eager,
    "monai": run_monai,
    "geoai": run_geoai,
    "terratorch": run_terratorch,
}


def run_one(name: str, scene: Path, model: Path, out: Path) -> dict[str, Any]:
    """Run one contender, in this process."""
    import warnings

    warnings.simplefilter("ignore")
    kind, engine, precision = CONTENDERS[name]
    seconds = RUNNERS[kind](scene, model, engine, precision, out)
    return {"seconds": seconds, "peak_rss_gb": peak_rss_gb()}


def run_all(
    names: list[str], repeats: int, files: tuple[Path, Path, Path], pixels: int
) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    """Run contenders in turns, each in a process; return a row a run, and each one's mask."""
    rows, masks, (scene, model, work) = [], {}, files
    for repeat in range(repeats):
        for name in names:
            out = work / f"{name}-{repeat}".replace(" ", "_")
            command = [sys.executable, __file__, "--one", name, *map(str, (scene, model, out))]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name} was passed over: {done.stderr.splitlines()[-1]}", flush=True)
                names = [one for one in names if one != name]
                continue
            row = {"name": name, "repeat": repeat, **json.loads(done.stdout.splitlines()[-1])}
            row["mpx_per_s"] = pixels / row["seconds"] / 1e6
            rows.append(row)
            found = sorted(out.glob("*_water.tif")) if out.exists() else []
            masks |= {name: found[0]} if found else {}
            print(f"{name}: {row['mpx_per_s']:.2f} Mpx/s, {row['peak_rss_gb']:.2f} GB", flush=True)
    return rows, masks


def peak_rss_gb() -> float:
    """Return the most memory that this process has held, in gigabytes.

    Not of ``getrusage`` on Linux: there a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def agreement(one: Path, other: Path) -> float:
    """Return the share of pixels whose class agrees."""
    import rasterio

    with rasterio.open(one) as first, rasterio.open(other) as second:
        return float((first.read(1) == second.read(1)).mean())


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians a contender, and the ratios that matter."""
    median = {
        name: statistics.median(row["mpx_per_s"] for row in rows if row["name"] == name)
        for name in {row["name"] for row in rows}
    }
    best = median.get("ours openvino bfloat16")
    peak = [row["peak_rss_gb"] for row in rows if row["name"] == "ours openvino bfloat16"]

    def ratio(*others: str) -> float | None:
        there = [median[other] for other in others if other in median]
        return round(best / max(there), 3) if best and there else None

    return {
        "mpx_per_s": {name: round(rate, 3) for name, rate in sorted(median.items())},
        "ratio_to_fastest_peer": ratio(*(f"{peer} float32" for peer in PEERS)),
        "ratio_to_fastest_peer_bf16": ratio(*(f"{peer} bfloat16" for peer in PEERS)),
        "ratio_to_eager_loop": ratio("eager float32"),
        "ratio_to_eager_loop_bf16": ratio("eager bfloat16"),
        "share_of_bare_engine": ratio("bare openvino bfloat16"),
        "peak_rss_gb": round(max(peak), 3) if peak else None,
    }


def main() -> None:
    """Run the contenders one after the other, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a scene of 3072 x 3072 px")
    parser.add_argument("--large", action="store_true", help="17000 x 25000 px; ours and bare")
    parser.add_argument("--tall", action="store_true", help="twice as tall, for memory; ours only")
    parser.add_argument("--decibels", action="store_true", help="float32 in place of bytes")
    parser.add_argument("--scene", type=Path, help="in place of a simulated one: VV, VH as bytes")
    parser.add_argument("--model", type=Path, help="in place of the one in the package")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="contenders, by commas; others' figures stay")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, *paths = args.one
        print(json.dumps(run_one(name, *map(Path, paths))))
        return
    import rasterio

    from sarwater.models.boxed import boxed_model

    sizes = [name for name in ("quick", "large", "tall") if getattr(args, name)]
    size = sizes[0] if sizes else "real" if args.scene else "scene"
    chosen = args.only.split(",") if args.only else list(CONTENDERS)
    if size in LONG and not args.only:
        chosen = [name for name in chosen if name in LONG[size]]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scene, model = args.scene or work / "scene.tif", args.model or boxed_model()
        if args.scene is None:
            make_scene(scene, *SIDES[size], decibels=args.decibels)
        with rasterio.open(scene) as dataset:
            height, width = dataset.shape
        pixels = window_pixels(height, width)
        rows, masks = run_all(chosen, args.repeats, (scene, model, work), pixels)
        same = {
            name: round(agreement(mask, masks[REFERENCE]), 6)
            for name, mask in masks.items()
            if REFERENCE in masks
        }
    key = f"{size}_decibels" if args.decibels else size
    known = json.loads(args.json.read_text()) if args.json.exists() else {}
    if args.only and key in known:  # the others' rows stay
        rows = [row for row in known[key]["runs"] if row["name"] not in chosen] + rows
        same = known[key]["agreement_with_torch_float32"] | same
    result = {
        "summary": summarize(rows),
        "agreement_with_torch_float32": same,
        "scene": {"height": height, "width": width, "window_pixels": pixels},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "runs": rows,
    }
    args.json.parent.mkdir(exist_ok=True)
    args.json.write_text(json.dumps(known | {key: result}, indent=1) + "\n")
    print(json.dumps(result["summary"], indent=2))


if __name__ == "__main__":
    main()

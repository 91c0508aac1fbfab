"""The plots of the page of the losses, drawn from the package's own loss functions.

command:  python docs/figures/losses.py [FOLDER]     (docs/images by default)
hardware: any; some seconds
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from sarwater.losses import functional
from sarwater.losses.weighting import LearnedWeights

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#333333")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (1, 1)))
"""Lines differ by color and by dash, so that they can be told apart without colors."""

Values = NDArray[np.float64]
Loss = Callable[[Tensor, Tensor], Tensor]


def image(parts: list[tuple[float, float, int]], pixels: int = 4000) -> tuple[Tensor, Tensor]:
    """Make logits and target of an image.

    Args:
        parts: probability of water, share of the image, and class (1 water) of each of its parts.
        pixels: of the image.
    """
    counts = [round(share * pixels) for _, share, _ in parts]
    repeats = torch.tensor(counts)
    water = torch.tensor([p for p, _, _ in parts], dtype=torch.float64).repeat_interleave(repeats)
    target = torch.tensor([c for _, _, c in parts], dtype=torch.uint8).repeat_interleave(repeats)
    odds = torch.special.logit(water, eps=1e-12)
    logits = torch.stack([torch.zeros_like(odds), odds])[None, :, None, :]
    return logits, target[None, None, :]


def pixel_losses(figure: Figure) -> None:
    """The loss of one pixel by the probability of its class."""
    left, right = figure.subplots(1, 2, sharey=True)
    shares = np.linspace(0.01, 1, 200)

    def curve(loss: Loss, water: int) -> Values:
        found = [loss(*image([(p if water else 1 - p, 1, water)], 1)) for p in shares]
        return np.array([float(one) for one in found])

    focal = [
        (f"focal, gamma {gamma:g}" if gamma else "cross-entropy", gamma) for gamma in (0, 1, 2, 5)
    ]
    for index, (name, gamma) in enumerate(focal):
        loss: Loss = lambda x, t, g=gamma: functional.focal(x, t, gamma=g)  # noqa: E731
        line(left, shares, curve(loss, 1), name, index)
    for index, (name, alpha, water) in enumerate(
        [
            ("water, alpha .75", 0.75, 1),
            ("any pixel, alpha .5", 0.5, 1),
            ("land, alpha .75", 0.75, 0),
        ]
    ):
        loss = lambda x, t, a=alpha: functional.balanced_cross_entropy(x, t, alpha=a)  # noqa: E731
        line(right, shares, curve(loss, water), name, index)
    for axes, title in ((left, "Focal loss"), (right, "Balanced cross-entropy")):
        finish(axes, title, "probability of the pixel's own class", "loss of the pixel")
        axes.set(xlim=(0, 1), ylim=(0, 4))


REGION = {
    "Dice": functional.dice,
    "Jaccard": functional.jaccard,
    "Tversky .7, .3": functional.tversky,
    "Tversky .3, .7": lambda x, t: functional.tversky(x, t, fp_weight=0.3, fn_weight=0.7),
}
"""Region losses, the weight of false water named first."""


def region_losses(figure: Figure) -> None:
    """What false and missed water cost, an image that is a tenth water."""
    left, right = figure.subplots(1, 2, sharey=True)
    shares = np.linspace(0, 1, 41)
    for index, (name, loss) in enumerate(REGION.items()):
        false = [
            loss(*image([(1, 0.1, 1), (1, 0.1 * e, 0), (0, 0.9 - 0.1 * e, 0)])) for e in shares
        ]
        missed = [
            loss(*image([(1, 0.1 * (1 - e), 1), (0, 0.1 * e, 1), (0, 0.9, 0)])) for e in shares
        ]
        line(left, shares, np.array([float(one) for one in false]), name, index)
        line(right, shares, np.array([float(one) for one in missed]), name, index)
    finish(left, "False water", "false water, of the true water's area", "loss")
    finish(right, "Missed water", "missed water, of the true water's area", "loss")
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02))


def focal_tversky(figure: Figure) -> None:
    """The power of the focal Tversky loss."""
    axes = figure.subplots()
    indices = np.linspace(0, 1, 101)
    for number, gamma in enumerate((1.0, 4 / 3, 2.0, 3.0, 0.75)):
        losses = []
        for index in indices:  # all land is right, so that TP = p and FN = 1 - p of the water
            p = 0.3 * index / (1 - 0.7 * index)
            x, t = image([(p, 0.5, 1), (0, 0.5, 0)], 2)
            losses.append(float(functional.focal_tversky(x, t, gamma=gamma)))
        name = {1.0: "1 (Tversky)", 4 / 3: "4/3"}.get(gamma, f"{gamma:g}")
        line(axes, indices, np.array(losses), f"gamma {name}", number)
    finish(axes, "Focal Tversky loss", "Tversky index", "loss")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def rare_water(figure: Figure) -> None:
    """How hard a batch pulls where there is hardly any water."""
    axes = figure.subplots()
    shares = np.array([0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2])
    places = np.where(shares > 0, shares, 3e-6)

    def norm(loss: Loss, share: float) -> float:
        logits, target = image([(0.5, share, 1), (0.5, 1 - share, 0)], 100_000)
        (gradient,) = torch.autograd.grad(loss(logits.requires_grad_(), target), logits)
        return float(gradient.norm())

    losses = {
        "cross-entropy": functional.cross_entropy,
        "Dice": functional.dice,
        "Tversky .7, .3": functional.tversky,
        "plain Tversky, not filled up": plain_tversky,
    }
    for index, (name, loss) in enumerate(losses.items()):
        norms = np.array([norm(loss, share) for share in shares])
        reference = norm(loss, 0.01)
        line(axes, places, norms / reference, name, index, marker="o", ms=3.5)
    axes.set_xscale("log")
    axes.set_xticks([3e-6, 1e-5, 1e-4, 1e-3, 1e-2], ["none", ".001 %", ".01 %", ".1 %", "1 %"])
    axes.minorticks_off()
    finish(
        axes, "A batch with hardly any water", "water, of all pixels", "gradient, 1 at 1 % of water"
    )
    axes.set_ylim(0, 1.8)


def plain_tversky(logits: Tensor, target: Tensor) -> Tensor:
    """1 - TP / (TP + .7 FP + .3 FN) as the papers have it, with the usual small constant."""
    water = logits.softmax(1)[:, 1]
    is_water = (target == 1).to(water)
    hit, false = (water * is_water).sum(), (water * (1 - is_water)).sum()
    missed = ((1 - water) * is_water).sum()
    return 1 - hit / (hit + 0.7 * false + 0.3 * missed + 1e-6)


def learned_weights(figure: Figure) -> None:
    """What learned weights minimize, by c."""
    axes = figure.subplots()
    grid = np.linspace(0.15, 2, 300)
    module = LearnedWeights(["loss"])
    for index, value in enumerate((0.05, 0.3, 1.0, 3.0)):
        totals = []
        for c in grid:
            with torch.no_grad():  # rho that gives this c
                module.rho.fill_(float(np.sinh(np.log(c))))
                totals.append(float(module({"loss": torch.tensor(value)})))
        line(axes, grid, np.array(totals), f"L = {value:g}", index)
        least = int(np.argmin(totals))
        axes.plot(grid[least], totals[least], "o", ms=5, color=COLORS[index])
    finish(axes, "Learned weights", "c", "L / (2 c²) + ln(1 + c²)")
    axes.set(xlim=(0, 2), ylim=(0, 4))


def line(axes: Axes, x: Values, y: Values, name: str, index: int, **style: object) -> None:
    """Draw one of several lines."""
    axes.plot(x, y, color=COLORS[index], ls=DASHES[index], lw=1.8, label=name, **style)  # type: ignore[arg-type]


def finish(axes: Axes, title: str, x: str, y: str) -> None:
    """Title, labels, light grid, no box."""
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", lw=0.8)
    axes.legend(frameon=False, fontsize=8.5)


FIGURES: dict[str, tuple[Callable[[Figure], None], tuple[float, float]]] = {
    "losses_pixel.svg": (pixel_losses, (8.4, 3.3)),
    "losses_region.svg": (region_losses, (8.4, 3.3)),
    "losses_focal_tversky.svg": (focal_tversky, (5.2, 3.3)),
    "losses_rare_water.svg": (rare_water, (6.2, 3.4)),
    "losses_learned_weights.svg": (learned_weights, (5.2, 3.3)),
}


def main(folder: Path) -> None:
    """Draw all of them."""
    style = {"svg.hashsalt": "sarwater", "svg.fonttype": "path", "font.family": "DejaVu Sans"}
    with mpl.rc_context(style):
        for name, (draw, size) in FIGURES.items():
            figure = Figure(figsize=size, layout="constrained")
            draw(figure)
            figure.savefig(folder / name, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")

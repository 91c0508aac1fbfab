"""Curves of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def plot_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Plot losses, validation scores, threshold and learning rate over the epochs.

    Args:
        history: a row an epoch, as ``curves.csv`` has them.
    """
    figure = Figure(figsize=(11, 6.5), layout="constrained", dpi=110)
    axes = figure.subplots(2, 2, sharex=True).ravel()
    names = list(dict.fromkeys(name for row in history for name in row))
    _draw(axes[0], history, [n for n in names if n.startswith("train_")], "training loss")
    scores = ["val_f1", "val_iou", "val_precision", "val_recall", "val_f1_at_half"]
    _draw(axes[1], history, [n for n in scores if n in names], "validation scores")
    learned = [n for n in names if n.startswith("c_")]
    _draw(
        axes[2],
        history,
        ["val_threshold", *learned],
        "threshold and learned c" if learned else "chosen threshold",
    )
    _draw(axes[3], history, ["learning_rate"], "learning rate")
    if any(row.get("learning_rate", 0) > 0 for row in history):  # a last rate of 0 may be alone
        axes[3].set_yscale("log")
    for axis in axes[2:]:
        axis.set_xlabel("epoch")
    return figure


def _draw(
    axis: object, history: Sequence[Mapping[str, float]], names: Sequence[str], title: str
) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    epochs = [row["epoch"] for row in history]
    for index, name in enumerate(names):
        values = [row.get(name, float("nan")) for row in history]
        label = name.removeprefix("train_").removeprefix("val_").replace("_", " ")
        color = _COLORS[index % len(_COLORS)]
        axis.plot(epochs, values, label=label, color=color, marker=".", markersize=4)
    axis.set_title(title, loc="left", fontsize=10)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        axis.legend(frameon=False, fontsize=8)

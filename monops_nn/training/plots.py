"""The curves of a run: loss, accuracy, iterations and residual of the solver, conditioning of I - W."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monops.errors import DataError
from monops_nn.training.records import Records


def plot(folder: str | Path, *, title: str = "") -> Path:
    """Draw the metrics of a run into curves.png in its folder.

    Raises DataError when matplotlib is not installed, or there are no metrics.
    """
    lines = Records(Path(folder)).lines()
    if not lines:
        raise DataError(f"{folder} has no metrics: train there first")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DataError("plots need matplotlib: pip install 'monops[train]'") from None
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(2, 2)
    _curve(axes[0, 0], lines, "train", "loss", "training loss (a batch)", "log")
    headline = next((line["headline"] for line in lines if "headline" in line), "accuracy")
    scale = "linear" if headline == "accuracy" else "log"
    _curve(axes[0, 1], lines, "train", headline, headline, scale, label="training, a batch", alpha=0.4)
    _curve(axes[0, 1], lines, "test", headline, headline, scale, label="test set", marker="o", markersize=3)
    tested = sorted(line["accuracy"] for line in lines if line["kind"] == "test" and "accuracy" in line)
    if tested and headline == "accuracy":  # the first epochs may leave the picture, so that the last ones can be told apart
        median = tested[len(tested) // 2]
        axes[0, 1].set_ylim(bottom=max(0.0, median - 3.0 * (1.0 - median) - 0.01), top=1.001)
    _curve(axes[1, 0], lines, "solver", "iterations", "iterations", "linear", label="forward")
    _curve(axes[1, 0], lines, "solver", "backward_iterations", "iterations", "linear", label="backward")
    for place in (axes[0, 1], axes[1, 0]):
        if place.lines:
            place.legend()
    _curve(axes[1, 1], lines, "solver", "residual", "largest relative residual", "log", color="tab:orange", alpha=0.6)
    axes[1, 1].set_title("residual of the solver", fontsize="medium")
    if any("conditioning" in line for line in lines):  # of layers with a strongly monotone I - W
        _curve(axes[1, 1].twinx(), lines, "solver", "conditioning", "L/m (bound)", "linear")
        axes[1, 1].set_title("conditioning L/m of I - W (blue), residual (orange)", fontsize="medium")
    figure.suptitle(title)
    path = Path(folder) / "curves.png"
    figure.savefig(path, dpi=90)
    return path


def _curve(axes: Any, lines: list[dict[str, Any]], kind: str, key: str, label_y: str, scale: str, **style: Any) -> None:
    chosen = [(line["epoch"], line[key]) for line in lines if line.get("kind") == kind and key in line]
    if chosen:
        axes.plot(*zip(*chosen, strict=True), **style)
    axes.set(xlabel="epoch", ylabel=label_y, yscale=scale)

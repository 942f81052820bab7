"""What a run says while it goes on: a bar with rich on a terminal, else lines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

PAUSE = 10.0  # seconds between two lines about the loss
HIDDEN = ("epoch", "seconds", "kind", "step", "options", "headline", "method", "backward_residual", "gradient_norm")


@contextlib.contextmanager
def progress(epochs: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function of the lines of the metrics that shows them."""
    bar = _bar() if sys.stdout.isatty() else None
    if bar is None:
        yield _Lines()
        return
    with bar:
        task = bar.add_task("training", total=epochs, note="")

        def show(line: dict[str, Any]) -> None:
            bar.update(task, completed=line["epoch"])
            if line["kind"] == "train":
                noted = {name: value for name, value in line.items() if name not in (*HIDDEN, "learning_rate")}
                bar.update(task, note=", ".join(f"{name} {_short(value)}" for name, value in noted.items()))
            elif line["kind"] != "solver":
                bar.console.print(text(line), highlight=False)

        yield show


def text(line: dict[str, Any]) -> str:
    """A line of the metrics for people."""
    rest = "  ".join(f"{name} {_short(value)}" for name, value in line.items() if name not in HIDDEN)
    return f"epoch {line['epoch']:7.3f}  {line['seconds']:8.1f} s  {line['kind']:<6} {rest}"


class _Lines:
    """Prints lines, those of the loss not more often than every few seconds."""

    def __init__(self) -> None:
        self.last = float("-inf")

    def __call__(self, line: dict[str, Any]) -> None:
        now = time.perf_counter()
        if line["kind"] in ("start", "test") or now - self.last > PAUSE:
            print(text(line), flush=True)
            self.last = now


def _bar() -> Any:
    try:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

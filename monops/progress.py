"""The progress bar of a solve (rich, optional)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(show: bool, title: str, tol: float) -> Iterator[Callable[[int, float], None]]:
    """A function of (iteration, residual) that moves a bar on the logarithm of the residual; silent unless ``show``."""
    if not show:
        yield lambda iteration, residual: None
        return
    try:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        raise ImportError("progress=True needs rich: pip install 'monops[progress]'") from None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(title, total=1.0, note="")
        first: list[float] = []

        def report(iteration: int, residual: float) -> None:
            if math.isfinite(residual) and residual > 0:
                first.append(residual) if not first else None
                span = math.log(max(first[0], 2 * tol) / tol)
                done = min(1.0, max(0.0, 1.0 - math.log(max(residual, tol) / tol) / span))
                bar.update(task, completed=done, note=f"{iteration} iterations, residual {residual:.2e}")

        yield report

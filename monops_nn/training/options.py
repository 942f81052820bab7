"""What a training run is asked to do."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monops.errors import DataError

DATA = ("mnist", "fashion-mnist", "cifar10", "tinyshakespeare", "wikitext-2", "wikitext-103", "shapes")
MODELS = (
    "dense",
    "single-convolution",
    "multi-tier",
    "multiscale",
    "monotone-multiscale",
    "residual",
    "transformer",
    "boltzmann",
    "robust-dense",
)
SCHEDULES = ("cycle", "steps", "constant")


@dataclass(frozen=True)
class Options:
    """A training run.

    Parameters
    ----------
    data : {"mnist", "fashion-mnist", "cifar10", "tinyshakespeare", "wikitext-2", "wikitext-103", "shapes"}
    model : {"dense", "single-convolution", "multi-tier", ...}
        One of `MODELS`; `monops_nn.training.targets` says which data each takes.
    settings : tuple of str
        ``name=value`` for what a model has besides, for example ``width=96``.
    epochs, batch_size : int
    learning_rate : float
        Of Adam; the largest, where a schedule changes it.
    schedule : {"cycle", "steps", "constant"}
        "cycle": up over the first three tenths of all steps, then down to a thousandth; "steps": divided by ten after half and
        after three quarters of the epochs.
    monotonicity : float or None
        m, of layers that have one; None: 1, for a robust-dense network 20, for a Boltzmann machine 0.05.
    tolerance : float
        Of both passes of the layer.
    augment : bool
        Random horizontal flips and shifts by up to four pixels.
    seed : int
        Of the start, the order of the images and the augmentation.
    threads : int or None
        Of torch; None leaves them.
    minutes : float or None
        Stop after so much time, evaluate and save.
    monitor_every : int
        Steps between two looks at the solver on one batch of the test set.
    folder : path or None
        Where the data are; None asks MONOPS_DATA.
    download : bool
        Fetch the data when they are not found.

    Raises
    ------
    DataError
        Names that are unknown, numbers that are not positive; the message names the option.

    Examples
    --------
    >>> options = Options(epochs=10, learning_rate=1e-2)
    >>> [round(options.rate_at(step, 100), 4) for step in (0, 300, 999)]
    [0.0, 0.01, 0.0]
    """

    data: str = "mnist"
    model: str = "dense"
    settings: tuple[str, ...] = ()
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cycle"
    monotonicity: float | None = None
    tolerance: float = 1e-2
    augment: bool = False
    seed: int = 0
    threads: int | None = None
    minutes: float | None = None
    monitor_every: int = 100
    folder: Path | None = None
    download: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("data", DATA), ("model", MODELS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise DataError(f"{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(choices)}")
        for name in ("epochs", "batch_size", "monitor_every"):
            _positive(name, getattr(self, name), int)
        for name in ("learning_rate", "tolerance"):
            _positive(name, getattr(self, name), float)
        if self.monotonicity is not None:
            _positive("monotonicity", self.monotonicity, float)
        if self.threads is not None:
            _positive("threads", self.threads, int)
        if self.minutes is not None:
            _positive("minutes", self.minutes, float)

    def m(self, default: float = 1.0) -> float:
        """The monotonicity, or the default of a model."""
        return default if self.monotonicity is None else self.monotonicity

    def rate_at(self, step: int, steps_an_epoch: int) -> float:
        """The learning rate of a step (counted from 0)."""
        total = self.epochs * steps_an_epoch
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "steps":
            done = step // steps_an_epoch
            return self.learning_rate * 0.1 ** ((2 * done >= self.epochs) + (4 * done >= 3 * self.epochs))
        up, low = 0.3 * total, 1e-3
        part = step / up if step < up else (total - step) / max(total - up, 1.0)
        return self.learning_rate * (low + (1.0 - low) * 0.5 * (1.0 - math.cos(math.pi * min(max(part, 0.0), 1.0))))

    def plain(self) -> dict[str, Any]:
        """As numbers and strings."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _positive(name: str, value: Any, kind: type) -> None:
    fine = isinstance(value, kind if kind is int else (int, float)) and not isinstance(value, bool)
    if not fine or not 0 < value < math.inf:
        what = "a positive integer" if kind is int else "a positive number"
        raise DataError(f"{name}={value!r} must be {what}")

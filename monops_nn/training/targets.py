"""What ``monops train --model`` can name: each with its task, the data it takes, and the settings that ``--set`` may change."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from monops.errors import DataError
from monops_nn.datasets import Images
from monops_nn.training.images import ImageTask
from monops_nn.training.options import Options
from monops_nn.training.task import Task

PICTURES = ("mnist", "fashion-mnist", "cifar10")


class Target(NamedTuple):
    """The maker of a task, called with the options and settings, and the data sets it takes."""

    make: Callable[..., Task]
    data: tuple[str, ...]


TARGETS: dict[str, Target] = {
    "dense": Target(ImageTask.of, PICTURES),
    "single-convolution": Target(ImageTask.of, PICTURES),
    "multi-tier": Target(ImageTask.of, PICTURES),
}


def task_of(options: Options, images: Images | None = None) -> Task:
    """The task that the options name, on these images where they are given; DataError for what it does not take."""
    target = TARGETS[options.model]
    if options.data not in target.data:
        raise DataError(f"model={options.model!r} does not take data={options.data!r}: choose {' or '.join(target.data)}")
    known = [name for name in inspect.signature(target.make).parameters if name not in ("options", "images")]
    settings = settings_of(options.settings)
    for name in settings:
        if name not in known:
            names = f"choose one of {', '.join(known)}" if known else "it has none"
            raise DataError(f"model={options.model!r} has no setting {name!r}: {names}")
    if images is not None:
        settings["images"] = images
    return target.make(options, **settings)


def settings_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Settings from texts ``name=value``, the values read as Python literals where they are ones."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise DataError(f"--set {pair} must read name=value, for example --set width=96")
        try:
            found[name.replace("-", "_")] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name.replace("-", "_")] = value
    return found

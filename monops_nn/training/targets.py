"""What ``monops train --model`` can name: each with its task, the data it takes, and the settings that ``--set`` may change."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from monops.errors import DataError
from monops_nn.boltzmann.task import BoltzmannTask
from monops_nn.certificates.task import RobustTask
from monops_nn.datasets import Images
from monops_nn.language.task import LanguageTask
from monops_nn.multiscale.task import MultiscaleTask, SegmentationTask
from monops_nn.training.images import ImageTask
from monops_nn.training.options import Options
from monops_nn.training.task import Task

PICTURES = ("mnist", "fashion-mnist", "cifar10")


class Target(NamedTuple):
    """The maker of a task, called with the options and the settings, and the data sets it takes."""

    make: Callable[..., Task]
    data: tuple[str, ...]


MULTISCALE = (Target(MultiscaleTask.of, PICTURES), Target(SegmentationTask.of, ("shapes",)))
TARGETS: dict[str, tuple[Target, ...]] = {
    "dense": (Target(ImageTask.of, PICTURES),),
    "single-convolution": (Target(ImageTask.of, PICTURES),),
    "multi-tier": (Target(ImageTask.of, PICTURES),),
    "multiscale": MULTISCALE,
    "monotone-multiscale": MULTISCALE,
    "residual": MULTISCALE,
    "transformer": (Target(LanguageTask.of, ("tinyshakespeare", "wikitext-2", "wikitext-103")),),
    "boltzmann": (Target(BoltzmannTask.of, ("mnist", "fashion-mnist")),),
    "robust-dense": (Target(RobustTask.of, PICTURES),),
}


def task_of(options: Options, images: Images | None = None) -> Task:
    """The task that the options name, on these images where they are given; DataError for what it does not take."""
    targets = TARGETS[options.model]
    target = next((target for target in targets if options.data in target.data), None)
    if target is None:
        takes = " or ".join(name for target in targets for name in target.data)
        raise DataError(f"model={options.model!r} does not take data={options.data!r}: choose {takes}")
    given: dict[str, Any] = settings_of(options.settings)
    parameters = inspect.signature(target.make).parameters
    known = [name for name in parameters if name not in ("options", "images", "machine")]
    for name in given:
        if name not in known and "machine" not in parameters:  # keywords of the machine are checked by it
            names = f"choose one of {', '.join(known)}" if known else "it has none"
            raise DataError(f"model={options.model!r} has no setting {name!r}: {names}")
    if images is not None:
        given["images"] = images
    try:
        return target.make(options, **given)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise DataError(f"model={options.model!r}: {error}") from error


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

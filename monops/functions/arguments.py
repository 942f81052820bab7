"""What every prox and its derivatives refuse before they compute: steps, points and directions that do not fit."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import BackendError, DataError, ShapeError

if TYPE_CHECKING:
    from monops.functions.function import Function


def check_prox(f: Function, x: Array, step: Any) -> None:
    """Raise unless a prox can be taken at x with this step.

    DataError for a step that is not a positive finite number, nor an array that may stand for one (several steps at once are
    for separable functions), and for a complex x where f is of real points; BackendError for an x that is no array or holds
    integers (a library would round the answer to integers); ShapeError for fewer axes than ``batch_ndim``.
    """
    if isinstance(step, (int, float, np.generic)):
        if not 0 < float(step) < math.inf:
            raise DataError(f"step={step!r} must be a finite number > 0: the prox minimises f(y) + |y - x|^2/(2 step)")
    elif not arrays.is_array(step):
        raise DataError(f"step={step!r} must be a finite number > 0")
    elif step.ndim > 0 and not f.takes_many_steps:
        raise DataError(
            f"{type(f).__name__} couples entries: step must be one number, got an array of shape {tuple(step.shape)}"
        )
    if type(x) is np.ndarray and x.dtype.kind == "f":
        if 0 <= f.batch_ndim <= x.ndim:
            return
        raise ShapeError(f"{type(f).__name__} has batch_ndim={f.batch_ndim}, but x has {x.ndim} axes")
    for leaf in arrays.leaves(x):
        arrays.check_floating(f"the argument of {type(f).__name__}.prox", leaf)
        if arrays.namespace(leaf).isdtype(leaf.dtype, "complex floating") and not f.takes_complex:
            raise DataError(
                f"{type(f).__name__} is a function of real points, but x is {leaf.dtype}: take the real and the imaginary "
                "part as two points"
            )


def check_direction(name: str, direction: Any, x: Array) -> None:
    """Raise unless a direction at x has the library and the shape of x."""
    for h, leaf in itertools.zip_longest(arrays.leaves(direction), arrays.leaves(x)):
        if h is None or leaf is None or h.shape != leaf.shape:
            raise ShapeError(
                f"{name} must have the shape of x: {name} has {getattr(h, 'shape', None)}, x {getattr(leaf, 'shape', None)}"
            )
        if arrays.namespace(h) is not arrays.namespace(leaf):
            raise BackendError(f"{name} is an array of {arrays.library(h)}, but x is one of {arrays.library(leaf)}")

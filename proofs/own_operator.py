"""A theorem held against a user's own operator: points of its space, and the constants that it declares."""

from __future__ import annotations

from typing import Any

import numpy as np

from monops.constants import Constants
from monops.errors import NotApplicableError

DEFAULT_SHAPE = (5,)


def pair(operator: Any, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two points of the operator's space: far apart, close together, or along one coordinate."""
    if isinstance(operator.input_shape, tuple) and operator.input_shape and isinstance(operator.input_shape[0], tuple):
        raise NotApplicableError(f"{type(operator).__name__} acts on several blocks: join them in one vector")
    shape = operator.input_shape or (operator.samples()[0].shape if hasattr(operator, "samples") else DEFAULT_SHAPE)
    x = 10 ** generator.uniform(-2, 2) * generator.standard_normal(shape)
    step = 10 ** generator.uniform(-4, 2) * generator.standard_normal(shape)
    if generator.integers(2) and step.size:
        step = np.where(np.arange(step.size).reshape(shape) == generator.integers(step.size), step, 0.0)
    return x, x + step


def declared(operator: Any, *names: str) -> Constants:
    """The constants of the operator; NotApplicableError when one of those named is unknown."""
    constants: Constants = operator.constants
    for name in names:
        value = getattr(constants, name)
        if value is None or (name != "lipschitz" and value == 0):
            raise NotApplicableError(
                f"{type(operator).__name__} declares no {name.replace('_', ' ')}, which the theorem needs: pass constants="
            )
    return constants


def squared_factor(images: tuple[Any, Any], points: tuple[Any, Any]) -> float:
    """|Tx - Ty|^2 / |x - y|^2."""
    moved, distance = images[0] - images[1], points[0] - points[1]
    return float(np.vdot(moved, moved)) / float(np.vdot(distance, distance))

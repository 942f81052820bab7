"""A sample of a function class: an instance with its reference, which tests, documentation and benchmarks walk over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

AsArray = Callable[[Any], Any]  # nested lists or a NumPy array -> an array of the library under test


class Sample(NamedTuple):
    """How to build an instance, where it lives, and an independent definition of it.

    Parameters
    ----------
    build : callable
        ``build(a) -> Function``; data arrays are made with ``a``, for example ``lambda a: cls(a([0.0, 0.5]))``.
    shape : tuple
        Shape of x, or a tuple of shapes for Blocks.
    reference : callable, optional
        ``reference(cp, y)``: the value at a CVXPY variable y (a list of variables for Blocks) in CVXPY's own atoms; a set
        gives its list of constraints; a pair ``(expression, constraints)`` gives both. Separable functions need none: a
        golden section on their value is their reference.
    accuracy : float
        Error of the prox in float64, relative to 1 + |x|; larger than rounding for iterative ones only.
    scale : float
        Size of the random points at which the instance is exercised.
    exact : bool
        Whether the claimed constants mu and L are attained, so that a claim 1 % off would be false.
    is_complex : bool
        Whether the instance takes complex x.
    """

    build: Callable[[AsArray], Any]
    shape: Any
    reference: Callable[[Any, Any], Any] | None = None
    accuracy: float = 1e-11
    scale: float = 2.0
    exact: bool = True
    is_complex: bool = False

"""The doctor: holds an object against the laws it claims, and returns a counterexample for each that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.doctor.function_laws import function_laws
from monops.doctor.law import Law, Raised, Skip, examine, guarded
from monops.doctor.linear_laws import linear_laws
from monops.doctor.map_laws import FixedPointMap, map_laws
from monops.doctor.operator_laws import derivative_laws, graph_laws, operator_laws
from monops.doctor.points import Supply
from monops.doctor.report import Check, Counterexample, Report
from monops.doctor.tools import shape_of
from monops.errors import DataError
from monops.functions import Function
from monops.functions.iterative import DEFAULT_TOLERANCE, Iterative
from monops.linear import LinearMap
from monops.problem import Inclusion, Summand, Term, named_arrays

__all__ = ["Counterexample", "FixedPointMap", "Report", "check"]

DEFAULT_SHAPE = (5,)


def check(
    item: Any,
    *,
    points: int = 6,
    seed: int = 0,
    shape: Any = None,
    like: Array | None = None,
    accuracy: float | None = None,
    rows: bool = True,
) -> Report:
    """Hold an object against every law that it claims.

    Parameters
    ----------
    item : Function, Operator, LinearMap, Inclusion or FixedPointMap
        Of an Inclusion every summand and every linear map is examined, and every term K*AK.
    points : int, default 6
        Random points; pairs, coordinate points, kinks, huge and tiny points come on top.
    seed : int, default 0
        The same seed, the same points.
    shape : tuple, or tuple of tuples for Blocks, optional
        Shape of x where the data do not fix it. Default: that of the first sample of the class (or of the function inside a
        wrapper), else (5,).
    like : array, optional
        Library, dtype and device of the points. Default: those of the data, else NumPy in double precision.
    accuracy : float, optional
        Error of the resolvent or prox relative to 1 + |x|. Default: rounding, or the tolerance of an iterative prox in it.
    rows : bool, default True
        Whether to examine that leading axes index independent rows; False for callables that take single points only.

    Returns
    -------
    Report
        Prints as a table: name, result, worst excess relative to the law's scale, tolerance, theorem; below it, for each
        failure, a counterexample in Python. ``ok``, ``failures``, ``require()``.

    Notes
    -----
    A passed check is evidence, a failed one a proof. Points follow the singular directions of numerical Jacobians (up to 36
    entries; beyond, the direction of growth), in which a claimed constant is false first.

    Examples
    --------
    >>> import numpy as np, monops
    >>> check(monops.L1Norm()).ok
    True
    >>> turn = monops.operators.Custom(lambda x: np.array([-x[1], x[0]]), constants=monops.Constants(0.0, lipschitz=0.99))
    >>> report = check(turn, shape=(2,), rows=False)
    >>> report.failures[0].name
    'Lipschitz constant L'
    >>> report.failures[0].counterexample.points["y"] - report.failures[0].counterexample.points["x"]
    array([0., 1.])
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise DataError(f"points={points!r} must be an integer >= 2")
    if getattr(item, "batch_ndim", 0):
        item = item.batched(0)  # single points; rows have a law of their own
    checks: list[Check] = []
    for part, subject, prefix, form in _parts(item, shape):
        supply = Supply(form, _like(part, like), points, seed, rows)
        if isinstance(part, FixedPointMap):
            supply = Supply(shape_of(part.start(supply.zero)), supply.like, points, seed, rows)
        error = _accuracy(part) if accuracy is None else accuracy
        for law in _laws(part, supply, error):
            verdict = examine(law, part, subject)
            checks.append(replace(verdict, name=prefix + verdict.name))
    return Report(f"check of {_name(item)}", tuple(checks))


def _laws(item: Any, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    if isinstance(item, LinearMap):
        return guarded(linear_laws(item, supply), "linear map")
    if isinstance(item, FixedPointMap):
        return guarded(map_laws(item, supply), "map")
    if isinstance(item, Function):
        return function_laws(item, supply, accuracy)
    return _term_laws(item, supply, accuracy) if isinstance(item, Term) else _operator_laws(item, supply, accuracy)


def _operator_laws(item: Any, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    yield from operator_laws(item, supply, accuracy)
    if item.has_resolvent:
        yield from guarded(derivative_laws(item, supply, accuracy, "resolvent_derivative"), "derivative")


def _term_laws(item: Term, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    if item.has_forward:
        yield from guarded(graph_laws(item, supply, accuracy, "forward"), "constants")


def _parts(item: Any, shape: Any) -> Iterator[tuple[Any, str, str, Any]]:
    """What to examine: the object, code for it, a prefix for its checks, and the shape of its points."""
    if isinstance(item, Inclusion):
        for index, term in enumerate(item.terms):
            code = f"item.terms[{index}]"
            inner = _shape(term.summand, item.input_shape or shape) if term.map is None else term.map.output_shape
            yield term.summand, f"{code}.summand", f"[{index}] ", inner
            if term.map is not None:
                yield term.map, f"{code}.map", f"[{index}] K: ", term.map.input_shape
                yield term, code, f"[{index}] K*AK: ", term.map.input_shape
    elif isinstance(item, LinearMap):
        yield item, "item", "", item.input_shape
    elif isinstance(item, FixedPointMap):
        first = item.problem.terms[0]
        known = item.problem.input_shape
        yield item, "item", "", known if known is not None else _shape(first.summand, shape)
    elif isinstance(item, Summand):
        yield item, "item", "", _shape(item, shape)
    else:
        raise DataError(
            f"check takes a Function, an Operator, a LinearMap, an Inclusion or a FixedPointMap, got {type(item).__name__}"
        )


def _shape(item: Summand, shape: Any) -> Any:
    if shape is not None:
        return shape
    if item.input_shape is not None:
        return item.input_shape
    inner = [value for value in vars(item).values() if isinstance(value, Function)]
    if len(inner) == 1:  # made from one other function: it lives where that one does
        return _shape(inner[0], None)
    samples = item.samples() if isinstance(item, Function) else ()
    return samples[0].shape if samples else DEFAULT_SHAPE


def _like(item: Any, like: Array | None) -> Array:
    if like is not None:
        return like
    if isinstance(item, FixedPointMap):
        item = item.problem
    named = item.named_arrays() if isinstance(item, Inclusion) else named_arrays(getattr(item, "summand", item), "")
    return next((array for _, array in named if arrays.is_floating(array)), np.empty(0))


def _accuracy(item: Any) -> float:
    """The largest tolerance of an iterative prox inside, or 0."""
    worst = 0.0
    if isinstance(item, Iterative):
        worst = DEFAULT_TOLERANCE if item.tolerance is None else item.tolerance
    for value in vars(item).values() if hasattr(item, "__dict__") else ():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Summand):
                worst = max(worst, _accuracy(part))
    return worst


def _name(item: Any) -> str:
    if isinstance(item, FixedPointMap):
        return f"{item.algorithm.name} for {item.problem}"
    if isinstance(item, Inclusion):
        return str(item)
    formula = getattr(item, "value_formula", getattr(item, "formula", None))
    return f"{type(item).__name__}, {formula('x')}" if formula else type(item).__name__

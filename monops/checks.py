"""What ``solve`` checks before the first iteration, and how it finds the cause when an iteration fails."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import BackendError, ConstantError, DataError, MonopsError, ShapeError
from monops.linear import LinearMap
from monops.operators import FixedPoint
from monops.problem import Inclusion, Summand, Term

DECLARED = ("known_norm", "strong_monotonicity", "lipschitz")  # fields that hold a constant that the user gave
SMALL = 1 << 20  # data arrays up to this size are scanned for NaN before solving, larger ones only when a solve fails


def check_settings(max_iter: int, batch_ndim: int, check_every: int, on_failure: str) -> None:
    """Raise DataError for settings that cannot be meant."""
    if on_failure not in ("warn", "raise", "ignore"):
        raise DataError(f"on_failure={on_failure!r} must be 'warn', 'raise' or 'ignore'")
    for name, value, least in (("max_iter", max_iter, 0), ("batch_ndim", batch_ndim, 0), ("check_every", check_every, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise DataError(f"{name}={value!r} must be an integer >= {least}")


def starting_point(problem: Inclusion, x0: Array | None) -> Array:
    """The given start after its checks, or zero of the shape that the data fix."""
    shape = problem.input_shape
    if x0 is None:
        if shape is None:
            raise ShapeError(f"the data of {problem} do not fix the shape of x: pass x0")
        if problem.batch_ndim:
            raise ShapeError("with batch_ndim > 0 the number of rows is not known: pass x0 of shape (rows, ...)")
        like = next((array for _, array in problem.named_arrays() if arrays.is_floating(array)), None)
        return _zeros(np.empty(0) if like is None else like, shape)
    if isinstance(x0, tuple) and not isinstance(x0, Blocks):
        x0 = Blocks(x0)
    for index, leaf in enumerate(arrays.leaves(x0)):
        arrays.check_floating("x0" if leaf is x0 else f"x0[{index}]", leaf)
        if leaf.ndim < problem.batch_ndim:
            raise ShapeError(f"x0 has {leaf.ndim} axes, fewer than batch_ndim={problem.batch_ndim}")
    if shape is not None:
        _check_shape(x0, shape, problem.batch_ndim)
    return x0


def _zeros(like: Array, shape: Any) -> Array:
    if shape and isinstance(shape[0], tuple):
        return Blocks([_zeros(like, part) for part in shape])
    xp = arrays.namespace(like)
    return xp.zeros(shape, dtype=like.dtype, device=arrays.device(like))


def _check_shape(x0: Array, shape: Any, batch_ndim: int) -> None:
    if shape and isinstance(shape[0], tuple):
        if not isinstance(x0, Blocks) or len(x0) != len(shape):
            given = f"Blocks of {len(x0)}" if isinstance(x0, Blocks) else f"one array of shape {tuple(x0.shape)}"
            raise ShapeError(f"x0 must be Blocks of {len(shape)} arrays of shapes {shape}, got {given}")
        for block, part in zip(x0, shape, strict=True):
            _check_shape(block, part, batch_ndim)
    elif isinstance(x0, Blocks):
        raise ShapeError(f"x0 is Blocks of {len(x0)} arrays, but the problem needs one array of shape {shape}")
    elif tuple(x0.shape[batch_ndim:]) != tuple(shape):
        rows = "" if not batch_ndim else f" behind {batch_ndim} batch axes"
        raise ShapeError(f"x0 has shape {tuple(x0.shape)}, but the problem's data need {tuple(shape)}{rows}")


def check_data(problem: Inclusion, x0: Array) -> None:
    """Raise for mixed libraries, devices or dtypes; and, without batch rows (which isolate it), for NaN in small data."""
    named = list(problem.named_arrays())
    arrays.check_same_backend([*named, ("x0", x0)])
    check_no_gradient([*named, ("x0", x0)])
    if problem.batch_ndim == 0:
        arrays.check_finite("x0", x0)
        for name, array in named:
            if math.prod(array.shape) <= SMALL:
                check_no_nan(name, array)


def check_no_gradient(named: Iterable[tuple[str, Array]]) -> None:
    """Raise BackendError for torch tensors that require gradients: a solve records none."""
    for name, point in named:
        if any(getattr(leaf, "requires_grad", False) for leaf in arrays.leaves(point)):
            raise BackendError(
                f"{name} requires gradients, but solve records none: call monops.differentiate.differentiable_solve for the "
                f"derivative of the solution, or pass {name}.detach(); monops_nn has layers with the exact implicit gradient"
            )


def check_no_nan(name: str, array: Array) -> None:
    """Raise DataError when the array contains NaN (infinite bounds of a box are legitimate)."""
    xp = arrays.namespace(array)
    if arrays.is_floating(array) and bool(xp.any(xp.isnan(array))):
        host = np.isnan(arrays.to_numpy(array))
        first = tuple(int(i) for i in np.argwhere(host)[0])
        count = int(host.sum())
        raise DataError(
            f"{name} contains {count} NaN value{'s' if count > 1 else ''} (first at index "
            f"{first if len(first) != 1 else first[0]}): remove or impute missing data before solving"
        )


def check_declared_constants(problem: Inclusion, x0: Array) -> None:
    """Raise ConstantError when a few points show that a constant that the user *gave* is false."""
    for term in problem.terms:
        if not may_be_given(term.summand):
            continue
        given = any(why.startswith("given") for why in term.summand.constants.reasons.values())
        if given and (term.map is None or term.map.input_shape is not None):
            found = false_constant(term, x0)
            if found is not None:
                raise ConstantError(f"{found} ({term.summand.formula('x')}): correct the declared constants")


def explain_misfit(problem: Inclusion, x0: Array, error: Exception) -> None:
    """Raise ShapeError for a term that does not give back the shape of x; for a foreign exception from inside an iteration."""
    hint = ""
    if problem.batch_ndim == 0:
        hint = "; if the rows are independent problems, pass batch_ndim=1 and x0 of shape (rows, ...)"
    for term in problem.terms:
        try:
            image = term.forward(x0) if term.has_forward else term.resolvent(x0, 1.0) if term.has_resolvent else x0
            shapes = [tuple(leaf.shape) for leaf in arrays.leaves(image)]
        except (ShapeError, DataError, BackendError) as known:
            raise known from error
        except MonopsError:
            continue
        except Exception as inner:
            raise ShapeError(f"{term} cannot be evaluated at x of shape {_shape_text(x0)} ({inner}){hint}") from error
        if shapes != [tuple(leaf.shape) for leaf in arrays.leaves(x0)]:
            raise ShapeError(f"{term} takes x of shape {_shape_text(x0)} to shape {_shape_text(image)}{hint}") from error


def check_shape_kept(problem: Inclusion, x0: Array, x: Array) -> None:
    """Raise ShapeError when an iteration has broadcast x to another shape."""
    if [tuple(leaf.shape) for leaf in arrays.leaves(x)] != [tuple(leaf.shape) for leaf in arrays.leaves(x0)]:
        cause = ShapeError(f"x0 has shape {_shape_text(x0)}, and the first iterate {_shape_text(x)}: data broadcast against x")
        explain_misfit(problem, x0, cause)
        raise cause


def _shape_text(x: Array) -> str:
    shapes = [tuple(leaf.shape) for leaf in arrays.leaves(x)]
    return str(shapes[0] if len(shapes) == 1 else shapes)


def may_be_given(item: Any) -> bool:
    """Whether somebody may have declared a constant of the summand or map: seen without computing any."""
    if not type(item).__module__.startswith("monops."):
        return isinstance(item, (Summand, LinearMap))
    if isinstance(item, Constants):
        return True
    if isinstance(item, tuple):
        return any(may_be_given(part) for part in item)
    if not dataclasses.is_dataclass(item):
        return False
    for entry in dataclasses.fields(item):
        value = getattr(item, entry.name)
        if (entry.name in DECLARED and value is not None) or (
            isinstance(value, (Summand, LinearMap, Constants, tuple)) and may_be_given(value)
        ):
            return True
    return False


class Pair(NamedTuple):
    """Two points x, y of the domain of an operator with their images u, v; ``start`` and ``stop`` led to them."""

    start: Array
    stop: Array
    x: Array
    y: Array
    u: Array
    v: Array


def growing_pairs(summand: Summand, x: Array, rounds: int = 4) -> Iterator[Pair]:
    """Pairs of points of the graph near x that follow the direction in which the operator grows most (power iteration)."""
    generator = np.random.default_rng(0)
    spread = max(1.0, float(arrays.norm(x))) if _finite(x) else 1.0
    if not _finite(x):
        x = 0.0 * arrays.tree_map(lambda leaf: arrays.namespace(leaf).zeros_like(leaf), x)
    direction = arrays.tree_map(lambda leaf: arrays.from_numpy(generator.standard_normal(leaf.shape), leaf), x)
    for _ in range(rounds):
        size = float(arrays.norm(direction))
        if size == 0 or not math.isfinite(size):
            return
        y = x + direction * (spread / size)
        if summand.has_forward:
            pair = Pair(x, y, x, y, summand.forward(x), summand.forward(y))
        elif summand.has_resolvent:
            p, q = summand.resolvent(x, 1.0), summand.resolvent(y, 1.0)
            pair = Pair(x, y, p, q, x - p, y - q)
        else:
            return
        yield pair
        direction = pair.v - pair.u


def false_constant(term: Term, x0: Array, rounds: int = 4) -> str | None:
    """A claim of the term's summand that a pair of points shows to be false, or None; follows the direction that grows most."""
    summand = term.summand
    x = x0 if term.map is None else term.map.apply(x0)
    rounding = 1e-6 if arrays.epsilon(arrays.leaves(x)[0]) < 1e-10 else 1e-3
    try:
        for pair in growing_pairs(summand, x, rounds):
            distance, image = pair.y - pair.x, pair.v - pair.u
            found = summand.violated_by(
                float(arrays.inner(distance, distance)),
                float(arrays.inner(image, distance)),
                float(arrays.inner(image, image)),
                rounding + _noise(pair, distance, image),
            )
            if found is not None:
                return found
    except MonopsError:
        return None
    return None


def _noise(pair: Pair, distance: Array, image: Array) -> float:
    """Relative rounding error of the differences of two points and of their images, which may be far from 0."""
    reach = max(float(arrays.norm(point)) for point in (pair.start, pair.stop, pair.x, pair.y, pair.u, pair.v))
    least = min(float(arrays.norm(distance)), float(arrays.norm(image)))
    return 0.0 if least == 0 else 16 * arrays.epsilon(arrays.leaves(pair.x)[0]) * reach / least


def _finite(x: Array) -> bool:
    return all(bool(arrays.namespace(leaf).all(arrays.namespace(leaf).isfinite(leaf))) for leaf in arrays.leaves(x))


def find_cause(problem: Inclusion, x0: Array, x: Array) -> str:
    """A sentence on why a solve failed: NaN in the data, a false constant, or what is left."""
    for name, array in [*problem.named_arrays(), *(("x0", leaf) for leaf in arrays.leaves(x0))]:
        try:
            check_no_nan(name, array)
        except DataError as error:
            return str(error)
    for term in problem.terms:
        for point in (x0, x):
            found = None
            if not isinstance(point, Blocks) or isinstance(x0, Blocks):
                found = false_constant(term, point)
            if found is not None:
                return f"{term.summand.formula('x')}: {found}; correct the constant"
    if any(isinstance(term.summand, FixedPoint) and not term.constants.monotone for term in problem.terms):
        return (
            "Nothing is proven for a map that is not declared nonexpansive: it may have no fixed point, or another start or "
            "another method finds it, such as Anderson(Picard()), Broyden() or NewtonKrylov()"
        )
    return (
        "No declared constant was found false: the problem may have no solution, an operator may not be monotone, or its data "
        "overflow the dtype; scale the data"
    )


def rounding_floor(problem: Inclusion, x: Array) -> float:
    """The residual below which rounding of the forward values decides: epsilon (|Ax| + L |x|) of the terms."""
    size = float(arrays.norm(x))
    total = size
    for term in problem.terms:
        lipschitz = term.constants.lipschitz
        if lipschitz is not None and math.isfinite(lipschitz):
            total += float(lipschitz) * size
    return arrays.epsilon(arrays.leaves(x)[0]) * total

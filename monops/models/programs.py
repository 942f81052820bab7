"""Mathematical programs: linear, quadratic, conic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions import Box, Function, Linear, NonNegative, Point, Quadratic
from monops.linear import LinearMap, MatvecMap, as_linear_map
from monops.problem import Inclusion, Term


def quadratic_program(
    P: Any = None,
    q: Array | None = None,
    A: Any = None,
    l: Any = -math.inf,  # noqa: E741
    u: Any = math.inf,
    lower: Any = None,
    upper: Any = None,
) -> Inclusion:
    """Minimise 1/2 <x, Px> + <q, x> subject to l <= Ax <= u and lower <= x <= upper.

    Parameters
    ----------
    P : array or SciPy sparse matrix (n, n), optional
        Symmetric, positive semidefinite; None for a linear program.
    q : array (n,), optional
    A : array, SciPy sparse matrix or linear map (m, n), optional
    l, u : float or array (m,)
        Equal for equations, infinite where there is no bound.
    lower, upper : float or array (n,), optional

    Returns
    -------
    Inclusion
        Quadratic(P, q) + Box(l, u) @ A + Box(lower, upper). ``Result.dual`` of a primal-dual method has the multipliers of the
        boxes, in this order.

    Raises
    ------
    DataError
        Where there is neither P nor q, bounds cross, or P is not symmetric.
    ShapeError
        Where P, q, A and the bounds do not fit together.

    References
    ----------
    Nocedal and Wright (2006), chapter 16.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = quadratic_program(np.eye(2), np.array([-1.0, -1.0]), np.ones((1, 2)), u=np.array([1.0]))
    >>> monops.solve(problem, monops.InteriorProximalMultipliers(), tol=1e-9).x.round(6)
    array([0.5, 0.5])
    """
    terms = [_objective(P, q)]
    if A is not None:
        terms.append(_rows(l, u, as_linear_map(A), "quadratic_program"))
    if lower is not None or upper is not None:
        terms.append(Term(Box(-math.inf if lower is None else lower, math.inf if upper is None else upper)))
    return Inclusion(tuple(terms))


def linear_program(
    c: Array,
    A_upper: Any = None,
    b_upper: Any = None,
    A_equal: Any = None,
    b_equal: Any = None,
    lower: Any = 0.0,
    upper: Any = None,
) -> Inclusion:
    """Minimise <c, x> subject to A_upper x <= b_upper, A_equal x = b_equal and lower <= x <= upper (x >= 0 by default).

    Parameters
    ----------
    c : array (n,)
    A_upper, A_equal : array, SciPy sparse matrix or linear map, optional
    b_upper, b_equal : array
    lower, upper : float or array (n,), or None for no bound

    Returns
    -------
    Inclusion
        Linear(c) + Box(-inf, b_upper) @ A_upper + Box(b_equal, b_equal) @ A_equal + Box(lower, upper).

    Raises
    ------
    DataError
        Where a matrix comes without its right-hand side.

    References
    ----------
    Dantzig (1963), Linear programming and extensions.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = linear_program(np.array([-1.0, -2.0]), np.ones((1, 2)), np.array([1.0]))
    >>> monops.solve(problem, monops.InteriorProximalMultipliers(), tol=1e-9).x.round(6) + 0.0
    array([0., 1.])
    """
    arrays.check_floating("linear_program: c", c)
    terms = [_objective(None, c)]
    for name, A, b in (("upper", A_upper, b_upper), ("equal", A_equal, b_equal)):
        if (A is None) != (b is None):
            raise DataError(f"linear_program: A_{name} and b_{name} belong together, and only one of them is given")
        if A is not None:
            terms.append(_rows(-math.inf if name == "upper" else b, b, as_linear_map(A), "linear_program"))
    if lower is not None or upper is not None:
        terms.append(Term(Box(-math.inf if lower is None else lower, math.inf if upper is None else upper)))
    return Inclusion(tuple(terms))


def conic_program(
    P: Any,
    q: Array | None,
    A: Any,
    b: Array | Sequence[Array],
    cone: Function | Sequence[Function],
) -> Inclusion:
    """Minimise 1/2 <x, Px> + <q, x> subject to b - Ax in K.

    Parameters
    ----------
    P : array or SciPy sparse matrix (n, n), or None
    q : array (n,), or None
    A : array, SciPy sparse matrix or linear map (m, n), or a sequence of them
    b : array (m,), or a sequence of arrays
        For PositiveSemidefinite an array (k, k), with a matrix A of k^2 rows.
    cone : Function, or a sequence of Functions
        The indicator of K, for example SecondOrderCone(), ExponentialCone(), PositiveSemidefinite(), NonNegative(), or
        Point(0.0) for equations; with a sequence, K is their product.

    Returns
    -------
    Inclusion
        Quadratic(P, q) plus one term a cone: inequalities and equations as Box @ A, others as K.translate(-b) @ (-A).

    Raises
    ------
    DataError
        Where the numbers of matrices, right-hand sides and cones differ.
    ShapeError
        Where A and b do not fit together.

    References
    ----------
    Boyd and Vandenberghe (2004), section 4.6.

    Examples
    --------
    The smallest t with |(1, 1)| <= t:

    >>> import numpy as np, monops
    >>> A, b = np.array([[-1.0], [0.0], [0.0]]), np.array([0.0, 1.0, 1.0])
    >>> problem = conic_program(None, np.array([1.0]), A, b, monops.SecondOrderCone())
    >>> monops.solve(problem, tol=1e-9).x.round(6)
    array([1.414214])
    """
    single = isinstance(cone, Function)
    parts = ([A], [b], [cone]) if single else (list(A), list(b), list(cone))  # type: ignore[arg-type]
    if len({len(part) for part in parts}) > 1:
        raise DataError(
            f"conic_program: {len(parts[0])} matrices, {len(parts[1])} right-hand sides and {len(parts[2])} cones: one of each "
            "belongs to every cone"
        )
    terms = [_objective(P, q)]
    terms += [_conic(as_linear_map(matrix), side, part) for matrix, side, part in zip(*parts, strict=True)]
    return Inclusion(tuple(terms))


def _objective(P: Any, q: Array | None) -> Term:
    if P is None and q is None:
        raise DataError("a program needs a quadratic part P or a linear part q; write q as zeros to look for a feasible point")
    if P is None:
        if q is None or q.ndim != 1:
            raise ShapeError("the linear part of a program must be a vector")
        return Term(Linear(q))
    return Term(Quadratic(P, q))


def _rows(lower: Any, upper: Any, A: LinearMap, owner: str) -> Term:
    """l <= Ax <= u, after a check of the shapes."""
    for name, bound in (("lower", lower), ("upper", upper)):
        shape = tuple(bound.shape) if arrays.is_array(bound) else ()
        if shape not in ((), tuple(A.output_shape)):
            raise ShapeError(f"{owner}: a {name} bound has shape {shape}, but Ax has shape {tuple(A.output_shape)}")
    return Term(Box(lower, upper), A)


def _conic(A: LinearMap, b: Array, cone: Function) -> Term:
    if math.prod(b.shape) != math.prod(A.output_shape):
        raise ShapeError(f"conic_program: b has shape {tuple(b.shape)}, but Ax has shape {tuple(A.output_shape)}")
    if isinstance(cone, NonNegative):
        return _rows(-math.inf, b, A, "conic_program")
    if isinstance(cone, Point) and not arrays.is_array(cone.point) and cone.point == 0:
        return _rows(b, b, A, "conic_program")
    return Term(cone.translate(-b), -_shaped(A, tuple(b.shape)))


def _shaped(A: LinearMap, shape: tuple[int, ...]) -> LinearMap:
    """A with its image as an array of the shape."""
    flat = tuple(A.output_shape)
    if flat == shape:
        return A

    def image(x: Array) -> Array:
        return arrays.namespace(x).reshape(A.apply(x), shape)

    def back(y: Array) -> Array:
        return A.adjoint(arrays.namespace(y).reshape(y, flat))

    return MatvecMap(image, back, A.input_shape, shape, float(A.norm.value))

"""Saddle problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions import Function, SeparableSum, Simplex, Zero
from monops.linear import as_linear_map
from monops.operators import Saddle, SmoothSaddle
from monops.problem import Inclusion


def convex_concave(
    gradient_x: Callable[[Array, Array], Array],
    gradient_y: Callable[[Array, Array], Array],
    f: Function | None = None,
    g: Function | None = None,
    *,
    lipschitz: float | None = None,
    strong_monotonicity: float = 0.0,
    shapes: Any = None,
) -> Inclusion:
    """The saddle problem: minimise over x, maximise over y, f(x) + Phi(x, y) - g(y), Phi smooth, convex in x, concave in y.

    Parameters
    ----------
    gradient_x, gradient_y : callable
        (x, y) -> partial gradients of Phi.
    f, g : Function, optional
        Convex, by their proxes; sets included. Zero when absent.
    lipschitz : float, optional
        L of (d_x Phi, -d_y Phi) on the whole space. Without it only methods that find their step themselves apply.
    strong_monotonicity : float, default 0
        mu of the same operator: Phi - mu/2 |x|^2 + mu/2 |y|^2 is convex-concave.
    shapes : pair of shapes, optional
        Of x and of y, where they are fixed.

    Returns
    -------
    Inclusion
        0 in (d_x Phi(x, y), -d_y Phi(x, y)) + (df(x), dg(y)) on Blocks((x, y)). The declared numbers are tried on points when
        solving.

    Raises
    ------
    DataError
        When f or g is not a function, or a gradient cannot be called.

    Notes
    -----
    For Phi(x, y) = <Kx, y> write ``Saddle(f, g, K)``, whose constants are computed.

    References
    ----------
    Rockafellar (1970), Monotone operators associated with saddle-functions and minimax problems.

    Examples
    --------
    Phi(x, y) = log(cosh(x)) + x y - y^2/2 on [-1, 1]^2, with the saddle point (0, 0):

    >>> import numpy as np, monops
    >>> problem = convex_concave(
    ...     lambda x, y: np.tanh(x) + y, lambda x, y: x - y, monops.Box(-1.0, 1.0), monops.Box(-1.0, 1.0), lipschitz=2.0,
    ...     shapes=((1,), (1,)),
    ... )
    >>> print(problem)
    0 in (d_x Phi(x, y), -d_y Phi(x, y)) + d((i_[-1, 1](x1) + i_[-1, 1](x2)))
    >>> start = monops.Blocks((np.array([0.8]), np.array([-0.5])))
    >>> bool(monops.arrays.norm(monops.solve(problem, x0=start).x) < 1e-5)
    True
    """
    for name, gradient in (("gradient_x", gradient_x), ("gradient_y", gradient_y)):
        if not callable(gradient):
            raise DataError(f"convex_concave: {name} must be a callable (x, y) -> array, got {type(gradient).__name__}")
    parts = tuple(_function("convex_concave", name, part) for name, part in (("f", f), ("g", g)))
    known = Constants(strong_monotonicity, lipschitz=lipschitz)
    operator = SmoothSaddle(gradient_x, gradient_y, known, shapes)
    return Inclusion(operator.terms()) if f is g is None else operator + SeparableSum(parts)


def _function(owner: str, name: str, part: Any) -> Function:
    if part is None:
        return Zero()
    if not isinstance(part, Function):
        raise DataError(f"{owner}: {name} must be a Function such as Box(0.0, 1.0), got {type(part).__name__}")
    return part


def minimax(A: Any, b: Array, f: Function | None = None) -> Inclusion:
    """Minimise f(x) + max_i (Ax + b)_i, as a saddle problem: maximise over the mixtures y of the rows.

    Parameters
    ----------
    A : array (m, n), SciPy sparse matrix or linear map
    b : array (m,)
    f : Function, optional
        Convex, by its prox; sets included. Zero when absent.

    Returns
    -------
    Inclusion
        0 in (df(x) + A*y, N(y) - Ax - b) on Blocks((x, y)), N the normal cone of the simplex; L = |A|.

    Notes
    -----
    With y it finds the mixture of rows that proves optimality: max over y' = y of min over x is the same value. The problem in
    x alone is ``f + Max().translate(-b) @ A``.

    References
    ----------
    von Neumann (1928); Nesterov (2005), Smooth minimization of non-smooth functions.

    Examples
    --------
    Chebyshev's problem, the least max |t - 3|, |t - 7|, as four lines:

    >>> import numpy as np, monops
    >>> A, b = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([-3.0, 3.0, -7.0, 7.0])
    >>> x, y = monops.solve(minimax(A, b), tol=1e-8).x
    >>> x.round(6)
    array([5.])
    """
    K = as_linear_map(A)
    if tuple(b.shape[-1:]) != tuple(K.output_shape):
        raise ShapeError(f"minimax: b has shape {tuple(b.shape)}, but Ax has shape {tuple(K.output_shape)}")
    return Inclusion(Saddle(_function("minimax", "f", f), Simplex().tilt(-b), K).terms())

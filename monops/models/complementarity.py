"""Complementarity problems and variational inequalities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions import Function, NonNegative
from monops.operators import Affine, Custom, MatrixFreeAffine, NormalCone
from monops.problem import Inclusion, Summand

UNKNOWN = Constants()


def linear_complementarity(M: Any, q: Array, strong_monotonicity: float | None = None) -> Inclusion:
    """The linear complementarity problem x >= 0, Mx + q >= 0, <x, Mx + q> = 0.

    Parameters
    ----------
    M : array (n, n), SciPy sparse matrix or linear map
        With M + M* positive semidefinite.
    q : array (..., n)
    strong_monotonicity : float, optional
        Of a map of which nothing is computed: a lower bound of <Mx, x>/|x|^2; 0 declares M monotone.

    Returns
    -------
    Inclusion
        0 in Mx + q + N_{x >= 0}(x). The constants of M are computed as far as its kind allows: see `Affine` for arrays,
        `MatrixFreeAffine` for the others.

    Raises
    ------
    ConstantError
        When M is not monotone, naming the least eigenvalue of its symmetric part.
    DataError
        When a constant is declared for an array, of which it is computed.

    References
    ----------
    Cottle, Pang and Stone (1992), The linear complementarity problem.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = linear_complementarity(np.array([[2.0, 1.0], [-1.0, 1.0]]), np.array([-4.0, 3.0]))
    >>> print(problem)
    0 in (Mx + q) + d(i(x >= 0))
    >>> np.abs(monops.solve(problem).x.round(5))
    array([2., 0.])
    """
    if not arrays.is_array(M):
        return MatrixFreeAffine(M, q, strong_monotonicity) + NonNegative()
    if strong_monotonicity is not None:
        raise DataError("linear_complementarity: the constants of an array M are computed: leave out strong_monotonicity")
    return Affine(M, q) + NonNegative()


def nonlinear_complementarity(
    F: Callable[[Array], Array] | Summand, constants: Constants = UNKNOWN, input_shape: Any = None
) -> Inclusion:
    """The complementarity problem x >= 0, F(x) >= 0, <x, F(x)> = 0 for a monotone F.

    Parameters
    ----------
    F : callable or Operator
        Defined and monotone on the whole space.
    constants : Constants
        Of a callable: what is declared is tried on points when solving; what is not declared is unknown.
    input_shape : tuple of int, optional
        Of a callable: shape of x, where it is fixed.

    Returns
    -------
    Inclusion
        0 in F(x) + N_{x >= 0}(x).

    Raises
    ------
    DataError
        When F is neither callable nor an operator, or an operator is given constants a second time.

    References
    ----------
    Facchinei and Pang (2003), Finite-dimensional variational inequalities and complementarity problems.

    Examples
    --------
    >>> import numpy as np, monops
    >>> F = lambda x: x + np.sin(x) - np.array([2.0, -1.0])
    >>> known = monops.Constants(strong_monotonicity=0.0, lipschitz=2.0, cyclic=True)
    >>> monops.solve(nonlinear_complementarity(F, known, (2,))).x.round(5) + 0.0
    array([1.10606, 0.     ])
    """
    return variational_inequality(F, NonNegative(), constants, input_shape)


def variational_inequality(
    F: Callable[[Array], Array] | Summand, C: Function, constants: Constants = UNKNOWN, input_shape: Any = None
) -> Inclusion:
    """The variational inequality: x in C with <F(x), y - x> >= 0 for all y in C.

    Parameters
    ----------
    F : callable or Operator
        Monotone; a callable must be defined on the whole space, or at least where a method asks for it.
    C : Function
        The indicator of a closed convex set, such as ``Box(0.0, 1.0)``.
    constants : Constants
        Of a callable: what is declared is tried on points when solving; what is not declared is unknown.
    input_shape : tuple, optional
        Of a callable: shape of x (shapes of its blocks), where it is fixed.

    Returns
    -------
    Inclusion
        0 in F(x) + N_C(x).

    Raises
    ------
    DataError
        When C is not a set, when F is neither callable nor an operator, or an operator is given constants a second time.

    References
    ----------
    Facchinei and Pang (2003), Finite-dimensional variational inequalities and complementarity problems.

    Examples
    --------
    >>> import numpy as np, monops
    >>> F = monops.Affine(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, -1.0]))
    >>> problem = variational_inequality(F, monops.L2Ball(1.0))
    >>> print(problem)
    0 in (Mx + q) + N_C(x)
    >>> monops.solve(problem).x.round(5) + 0.0
    array([-1.,  0.])
    """
    return as_operator(F, constants, input_shape) + NormalCone(C)


def as_operator(F: Any, constants: Constants, input_shape: Any) -> Summand:
    """An operator as it is; a callable with the declared constants."""
    if isinstance(F, Summand):
        if constants != UNKNOWN or input_shape is not None:
            raise DataError(f"{type(F).__name__} knows its constants and its shape: they are declared for a callable only")
        return F
    if not callable(F):
        raise DataError(f"F must be a callable x -> F(x) or an Operator such as Affine(M, q), got {type(F).__name__}")
    return Custom(forward=F, constants=constants, input_shape=input_shape)

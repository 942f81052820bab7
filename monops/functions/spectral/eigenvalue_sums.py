"""Traces, determinants and sums of eigenvalues of symmetric and Hermitian matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.entropies.barriers import LogBarrier
from monops.functions.entropies.entropies import NegativeEntropy
from monops.functions.entropies.powers import InversePower
from monops.functions.function import Function
from monops.functions.norms.order import Max, SumLargest
from monops.functions.sample import Sample
from monops.functions.spectral.eigenvalues import OfEigenvalues, check_positive, symmetric
from monops.functions.spectral.spectrum import check_matrix, real
from monops.linear import BroadcastMap, Diagonal, LinearMap

__all__ = [
    "LargestEigenvalue",
    "LogDeterminant",
    "SumLargestEigenvalues",
    "Trace",
    "TraceInverse",
    "VonNeumannEntropy",
]


@final
@dataclass(frozen=True, eq=False)
class LogDeterminant(OfEigenvalues):
    """f(X) = -weight log det X on the positive definite matrices, symmetric or Hermitian.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: Q diag((lambda + sqrt(lambda^2 + 4 step weight))/2) Q* with (X + X*)/2 = Q diag(lambda) Q*. **Domain** the
    semidefinite cone (its closure). **Constants** mu = 0; no gradient outside the cone. **Cost** one symmetric eigenvalue
    decomposition. **Derivative** of the prox: that of `EigenvalueFunction`; there is no kink.

    References
    ----------
    Banerjee, El Ghaoui and d'Aspremont (2008), for the graphical lasso; Lewis (1996).

    Examples
    --------
    >>> import numpy as np
    >>> LogDeterminant(2.0).prox(np.diag([1.0, -1.0])).round(12)
    array([[2., 0.],
           [0., 1.]])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("LogDeterminant", "weight", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7), (3, 3), lambda cp, y: (-0.7 * cp.log_det(y), symmetric([], y)), is_complex=True),
            Sample(lambda a: cls(a(2.5)), (2, 2), lambda cp, y: (-2.5 * cp.log_det(y), symmetric([], y))),
        )

    @property
    def vector(self) -> Function:
        return LogBarrier(self.weight)

    def value_formula(self, x: str) -> str:
        return f"-{float(self.weight):g} log det {x}"


@final
@dataclass(frozen=True, eq=False)
class TraceInverse(OfEigenvalues):
    """f(X) = weight trace(X^-1) on the positive definite matrices, symmetric or Hermitian: A-optimal design.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: Q diag(p) Q* with the root p > 0 of p - step weight/p^2 = lambda, (X + X*)/2 = Q diag(lambda) Q*. **Domain** the
    semidefinite cone (its closure). **Constants** mu = 0; no gradient outside the cone. **Cost** one symmetric eigenvalue
    decomposition. **Derivative** of the prox: that of `EigenvalueFunction`; there is no kink.

    References
    ----------
    Lewis (1996), Convex analysis on the Hermitian matrices; Pukelsheim (1993), Optimal design of experiments.

    Examples
    --------
    >>> import numpy as np
    >>> TraceInverse().prox(np.diag([1.75, 0.0])).round(12)
    array([[2., 0.],
           [0., 1.]])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("TraceInverse", "weight", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7), (3, 3), lambda cp, y: (0.7 * cp.tr_inv(y), symmetric([], y)), is_complex=True),
            Sample(lambda a: cls(a(2.5)), (2, 2), lambda cp, y: (2.5 * cp.tr_inv(y), symmetric([], y))),
        )

    @property
    def vector(self) -> Function:
        return InversePower(1.0, self.weight)

    def value_formula(self, x: str) -> str:
        return f"{float(self.weight):g} trace({x}^-1)"


@final
@dataclass(frozen=True, eq=False)
class VonNeumannEntropy(OfEigenvalues):
    """f(X) = trace(X log X) on the positive semidefinite matrices, symmetric or Hermitian; with 0 log 0 = 0.

    Notes
    -----
    prox: Q diag(p) Q* with p = step omega(lambda/step - 1 - log(step)), Wright's omega, and (X + X*)/2 = Q diag(lambda) Q*.
    **Domain** the semidefinite cone. **Constants** mu = 0 (the second derivative of t log t is 1/t); no gradient outside the
    cone. **Cost** one symmetric eigenvalue decomposition. **Derivative** of the prox: that of `EigenvalueFunction`, with p/(p +
    step) on the diagonal; there is no kink.

    References
    ----------
    Lewis (1996), Convex analysis on the Hermitian matrices; Chandrasekaran and Shah (2017), Relative entropy optimization and
    its applications.

    Examples
    --------
    >>> import numpy as np
    >>> VonNeumannEntropy().prox(np.diag([2.0, 1.0])).round(3)
    array([[1.   , 0.   ],
           [0.   , 0.567]])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def reference(cp: Any, y: Any) -> Any:
            return -cp.von_neumann_entr(cp.symmetric_wrap(y)), symmetric([], y)

        return (Sample(lambda a: cls(), (3, 3), reference, is_complex=True), Sample(lambda a: cls(), (2, 2), reference))

    @property
    def vector(self) -> Function:
        return NegativeEntropy()

    def value_formula(self, x: str) -> str:
        return f"trace({x} log {x})"


@final
@dataclass(frozen=True, eq=False)
class LargestEigenvalue(OfEigenvalues):
    """f(X) = weight lambda_max(X) on the symmetric or Hermitian matrices; infinite at other matrices.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: Q diag(min(lambda, t)) Q* with sum max(lambda_i - t, 0) = step weight and (X + X*)/2 = Q diag(lambda) Q*. The
    conjugate is the indicator of {X : (X + X*)/2 in Spectrahedron(weight)}. **Domain** the symmetric matrices. **Constants** mu
    = 0, not smooth. **Cost** one symmetric eigenvalue decomposition. **Derivative** of the prox: that of `EigenvalueFunction`,
    with that of `Max` on the diagonal.

    References
    ----------
    Overton (1992), Large-scale optimization of eigenvalues; Lewis (1996).

    Examples
    --------
    >>> import numpy as np
    >>> LargestEigenvalue().prox(np.diag([3.0, 2.0, -1.0]), 2.0).diagonal().round(12)
    array([ 1.5,  1.5, -1. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive("LargestEigenvalue", "weight", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (3, 3), lambda cp, y: (1.3 * cp.lambda_max(y), symmetric([], y)), is_complex=True),
            Sample(lambda a: cls(0.2), (2, 2), lambda cp, y: (0.2 * cp.lambda_max(y), symmetric([], y))),
        )

    @property
    def vector(self) -> Function:
        return Max(self.weight)

    def value_formula(self, x: str) -> str:
        return f"{float(self.weight):g} lambda_max({x})"


@final
@dataclass(frozen=True, eq=False)
class SumLargestEigenvalues(OfEigenvalues):
    """f(X) = weight times the sum of the ``count`` largest eigenvalues of a symmetric or Hermitian matrix.

    Parameters
    ----------
    count : float, default 1
        Above 0, at most the size of the matrix; a fraction counts the next eigenvalue with that fraction.
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: Q diag(lambda - P(lambda)) Q*, P the projection on {0 <= u_i <= step weight, sum u = count step weight}, (X + X*)/2 =
    Q diag(lambda) Q*. **Domain** the symmetric matrices. **Constants** mu = 0, not smooth. **Cost** one symmetric eigenvalue
    decomposition. **Derivative** of the prox: that of `EigenvalueFunction`, with that of `SumLargest` on the diagonal.

    References
    ----------
    Overton and Womersley (1993), Optimality conditions and duality theory for minimizing sums of the largest eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> SumLargestEigenvalues(2).prox(np.diag([3.0, 2.5, -1.0])).diagonal().round(12)
    array([ 2. ,  1.5, -1. ])
    """

    count: Any = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive("SumLargestEigenvalues", "count", self.count)
        check_positive("SumLargestEigenvalues", "weight", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(
                lambda a: cls(2, 1.3),
                (3, 3),
                lambda cp, y: (1.3 * cp.lambda_sum_largest(y, 2), symmetric([], y)),
                is_complex=True,
            ),
            Sample(lambda a: cls(3, 0.3), (4, 4), lambda cp, y: (0.3 * cp.lambda_sum_largest(y, 3), symmetric([], y))),
        )

    @property
    def vector(self) -> Function:
        return SumLargest(self.count, self.weight)

    def value_formula(self, x: str) -> str:
        return f"{float(self.weight):g} sum of {self.count:g} largest lambda({x})"


@final
@dataclass(frozen=True, eq=False)
class Trace(Function):
    """f(X) = weight Re trace X, a linear function of any square matrix; with `PositiveSemidefinite` the nuclear norm.

    Parameters
    ----------
    weight : float, default 1
        Finite, of either sign.

    Notes
    -----
    prox: X - step weight I; X is not made symmetric. Gradient weight I. **Domain** everything. **Constants** mu = L = 0.
    **Cost** one pass. **Derivative** of the prox: the identity in X; -step I in the weight.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24, for linear functions.

    Examples
    --------
    >>> import numpy as np
    >>> Trace(2.0).prox(np.array([[3.0, 1.0], [0.0, 5.0]]))
    array([[1., 1.],
           [0., 3.]])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        if (arrays.is_array(self.weight) and self.weight.ndim > 0) or not math.isfinite(float(autodiff.detach(self.weight))):
            raise DataError(f"Trace: weight={self.weight!r} must be a finite number")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7), (3, 3), lambda cp, y: 0.7 * cp.trace(y), is_complex=True),
            Sample(lambda a: cls(a(-2.0)), (2, 2), lambda cp, y: -2.0 * cp.trace(y)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=0.0, cyclic=True, affine=True, why="computed: a linear function")

    def __call__(self, x: Array) -> Array:
        check_matrix("Trace", x, square=True)
        diagonal = real(arrays.namespace(x).linalg.diagonal(x))
        return self.weight * arrays.row_sum(diagonal, self.batch_ndim)

    def _identity(self, x: Array) -> Array:
        """The unit matrix, as often as in x."""
        check_matrix("Trace", x, square=True)
        xp = arrays.namespace(x)
        return xp.eye(x.shape[-1], dtype=x.dtype, device=arrays.device(x)) + xp.zeros_like(x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return x - (step * self.weight) * self._identity(x)

    def gradient(self, x: Array) -> Array:
        return self.weight * self._identity(x)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(arrays.namespace(x).ones_like(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"weight": BroadcastMap(-step * self._identity(x))}

    def value_formula(self, x: str) -> str:
        return f"{float(self.weight):g} trace {x}"

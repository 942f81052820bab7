"""Functions of the eigenvalues of symmetric and Hermitian matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.calculus.duality import Conjugate
from monops.functions.entropies.entropies import NegativeEntropy
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.functions.sets.sets import NonNegative
from monops.functions.sets.simplices import Simplex
from monops.functions.spectral.invariance import check_symmetric
from monops.functions.spectral.spectrum import (
    OfMatrix,
    Slopes,
    adjoint,
    check_matrix,
    eigenvalues,
    is_everything,
    symmetric_part,
    tamed,
    with_nan,
)
from monops.linear import LinearMap, SelfAdjointMap

__all__ = [
    "EigenvalueFunction",
    "PositiveSemidefinite",
    "Spectrahedron",
]


class Eigenvalues:
    """(X + X*)/2 = Q diag(values) Q*; ``free`` adds the skew part of X to what is composed."""

    def __init__(self, x: Array, free: bool) -> None:
        part = symmetric_part(x)
        tame, scale, self.broken = tamed(part)
        values, self.vectors = arrays.namespace(x).linalg.eigh(tame)
        self.values = values * scale[..., 0]
        self.skew = x - part if free else None

    def spread(self, p: Array) -> Array:
        """Q diag(p) Q*, exactly symmetric."""
        if isinstance(p, np.ndarray) and p.ndim == 1 and self.vectors.dtype.kind == "f" and (p >= 0).all():
            root = self.vectors[:, p > 0] * np.sqrt(p[p > 0])
            return with_nan(root @ root.T, self.broken)  # NumPy computes one triangle only, of the columns that count
        return with_nan(symmetric_part((self.vectors * p[..., None, :]) @ adjoint(self.vectors)), self.broken)

    def compose(self, p: Array) -> Array:
        """The matrix that belongs to the values p: the skew part comes back where it is free."""
        return self.spread(p) if self.skew is None else self.spread(p) + self.skew

    def core(self, h: Array) -> Array:
        """Q* H Q."""
        return adjoint(self.vectors) @ h @ self.vectors

    def derivative(self, slopes: Slopes) -> LinearMap:
        """The derivative of Q diag(p(lambda)) Q* in X."""

        def apply(h: Array) -> Array:
            part = symmetric_part(h)
            core = self.core(part)
            moved = slopes.across * core + slopes.on_diagonal(core)
            moved = symmetric_part(self.vectors @ moved @ adjoint(self.vectors))
            return moved if self.skew is None else moved + (h - part)

        return SelfAdjointMap(apply, tuple(int(n) for n in self.vectors.shape))


@dataclass(frozen=True, eq=False)
class OfEigenvalues(OfMatrix):
    """f(X) = g(lambda(X)) on the symmetric or Hermitian matrices, where g does not depend on the order of its arguments."""

    @property
    def is_symmetric(self) -> bool:
        """Whether f is infinite at matrices that are not symmetric; else it reads their symmetric part."""
        return True

    def _decompose(self, x: Array) -> Eigenvalues:
        check_matrix(type(self).__name__, x, square=True)
        return Eigenvalues(x, free=not self.is_symmetric)

    @cached_property
    def constants(self) -> Constants:
        known = self.vector.constants
        if self.is_symmetric:
            return Constants(
                known.strong_monotonicity, cyclic=True, why="rule: that of g; f is infinite off the symmetric matrices"
            )
        return Constants(0.0, lipschitz=known.lipschitz, cyclic=True, why="rule: that of g; the skew part is free")

    @property
    def has_gradient(self) -> bool:
        return not self.is_symmetric and self.vector.has_gradient

    @property
    def domain(self) -> Function | None:
        if self.is_indicator:
            return self
        inner = self.vector.domain
        if inner is not None and not self.is_symmetric and is_everything(inner):
            return Zero(batch_ndim=self.batch_ndim)
        return None if inner is None else EigenvalueFunction(inner, self.is_symmetric, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        check_matrix(type(self).__name__, x, square=True)
        value = self._value_at(eigenvalues(x), x)
        if not self.is_symmetric:
            return value
        return value + arrays.indicator(arrays.namespace(x).abs(x - adjoint(x)), x, self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        if not self.has_gradient:
            return super().gradient(x)
        found = Eigenvalues(x, free=False)
        return found.spread(self._inner(x).gradient(found.values))

    def conjugate(self) -> Function:
        dual = self.vector.conjugate() if self.is_convex else None
        if dual is None or isinstance(dual, Conjugate):
            return super().conjugate()
        return EigenvalueFunction(dual, not self.is_symmetric, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return self.vector.value_formula(f"lambda({x})")


def symmetric(constraints: list[Any], y: Any) -> list[Any]:
    """CVXPY constraints, and that y is symmetric."""
    return [*constraints, y == y.T]


def check_positive(owner: str, name: str, value: Any) -> None:
    """Raise DataError unless a number, or a 0-d array, is finite and above 0."""
    number = float(autodiff.detach(value)) if not arrays.is_array(value) or value.ndim == 0 else math.nan
    if not 0 < number < math.inf:
        raise DataError(f"{owner}: {name}={value!r} must be a finite number > 0")


@final
@dataclass(frozen=True, eq=False)
class EigenvalueFunction(OfEigenvalues):
    """f(X) = g(lambda(X)), the eigenvalues of a symmetric or Hermitian matrix; infinite at other matrices.

    Parameters
    ----------
    function : Function
        g, of a vector; must not depend on the order of its entries. Numbers as data, no arrays: eigenvalues have no labels.
    symmetric : bool, default True
        Whether f is infinite at matrices that are not symmetric. False: f(X) = g(lambda((X + X*)/2)) for every square X, which
        leaves the skew part free; the conjugate of the one is of the other kind.

    Notes
    -----
    prox: Q diag(prox_g(lambda)) Q* with (X + X*)/2 = Q diag(lambda) Q*: the nearest symmetric matrix comes first, so that the
    prox of any square matrix is symmetric (``symmetric=False`` adds the skew part again). X may have axes in front: each matrix
    has a value of its own, and f is their sum. **Domain** that of g, on symmetric matrices; off by rounding counts as inside.
    **Constants** mu of g (0 with ``symmetric=False``); L of g with ``symmetric=False``, otherwise no gradient. **Cost** one
    symmetric eigenvalue decomposition, 10 n^3 or so, and the prox of g. **Derivative** of the prox: Q (G o (Q* H Q)) Q* with
    the divided differences G_ij = (p_i - p_j)/(lambda_i - lambda_j), their limit (J_ii - J_ij) at ties, and J = the derivative
    of prox_g on the diagonal; at kinks the element that J gives.

    References
    ----------
    Lewis (1996), Convex analysis on the Hermitian matrices; Daniilidis, Drusvyatskiy and Lewis (2014) for derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import Box
    >>> EigenvalueFunction(Box(0.0, 1.0)).prox(np.array([[0.5, 2.0], [2.0, 0.5]])).round(12)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    function: Function
    symmetric: bool = True

    def __post_init__(self) -> None:
        check_symmetric("EigenvalueFunction", self.function, signs=False)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.losses.robust import Huber
        from monops.functions.sets.sets import Box

        return (
            Sample(lambda a: cls(NegativeEntropy()), (3, 3), is_complex=True),
            Sample(lambda a: cls(Huber(0.5), symmetric=False), (3, 3), is_complex=True),
            Sample(
                lambda a: cls(Box(-0.5, 1.0)),
                (3, 3),
                lambda cp, y: symmetric([cp.lambda_max(y) <= 1.0, cp.lambda_min(y) >= -0.5], y),
                is_complex=True,
            ),
            Sample(lambda a: cls(Box(-0.5, 1.0), symmetric=False), (2, 2, 2)),
        )

    @property
    def vector(self) -> Function:
        return self.function

    @property
    def is_symmetric(self) -> bool:
        return self.symmetric


@final
@dataclass(frozen=True, eq=False)
class PositiveSemidefinite(OfEigenvalues):
    """Indicator of the positive semidefinite matrices, symmetric or Hermitian: the cone of semidefinite programming.

    Notes
    -----
    prox: Q diag(max(lambda, 0)) Q* with (X + X*)/2 = Q diag(lambda) Q*; X need not be symmetric. The conjugate is the indicator
    of {X : X + X* negative semidefinite}. **Domain** the cone. **Constants** mu = 0; no gradient. **Cost** one symmetric
    eigenvalue decomposition. **Derivative** of the prox: that of `EigenvalueFunction`: 1 between two positive eigenvalues, 0
    between two others, lambda_i/(lambda_i - lambda_j) across; 0 at the kink lambda = 0.

    References
    ----------
    Higham (1988), Computing a nearest symmetric positive semidefinite matrix; Malick and Sendov (2006) for the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> PositiveSemidefinite().prox(np.array([[0.0, 2.0], [2.0, 0.0]])).round(12)
    array([[1., 1.],
           [1., 1.]])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def stacked(cp: Any, y: Any) -> list[Any]:
            return [bound for i in range(2) for bound in symmetric([y[i, :, :] >> 0], y[i, :, :])]

        return (
            Sample(lambda a: cls(), (3, 3), lambda cp, y: symmetric([y >> 0], y), is_complex=True),
            Sample(lambda a: cls(), (2, 2, 2), stacked),
        )

    @property
    def vector(self) -> Function:
        return NonNegative()

    def value_formula(self, x: str) -> str:
        return f"i({x} psd)"


@final
@dataclass(frozen=True, eq=False)
class Spectrahedron(OfEigenvalues):
    """Indicator of {X positive semidefinite, trace X = total}: density matrices for total 1.

    Parameters
    ----------
    total : float, default 1
        Above 0.

    Notes
    -----
    prox: Q diag(P(lambda)) Q*, P the projection on `Simplex`, (X + X*)/2 = Q diag(lambda) Q*. **Domain** the set.
    **Constants** mu = 0; no gradient. **Cost** one symmetric eigenvalue decomposition. **Derivative** of the prox: that of
    `EigenvalueFunction`, with that of `Simplex` on the diagonal (0 at the kinks).

    References
    ----------
    Lewis (1996), Convex analysis on the Hermitian matrices.

    Examples
    --------
    >>> import numpy as np
    >>> Spectrahedron().prox(np.diag([2.0, 1.5])).round(12)
    array([[0.75, 0.  ],
           [0.  , 0.25]])
    """

    total: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("Spectrahedron", "total", self.total)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (3, 3), lambda cp, y: symmetric([y >> 0, cp.trace(y) == 1], y), is_complex=True),
            Sample(lambda a: cls(a(8.0)), (2, 2), lambda cp, y: symmetric([y >> 0, cp.trace(y) == 8], y)),
        )

    @property
    def vector(self) -> Function:
        return Simplex(self.total)

    def value_formula(self, x: str) -> str:
        return f"i({x} psd, trace {x} = {float(self.total):g})"

"""Affine and skew operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import CapabilityError, ConstantError, ShapeError
from monops.linear import as_linear_map
from monops.operators.operator import Operator

RANK_TOLERANCE = 1e-12


@final
@dataclass(frozen=True, eq=False)
class Affine(Operator):
    """x -> Mx + q for a square matrix M with M + M* positive semidefinite; x is (..., n).

    Parameters
    ----------
    M : array (n, n)
    q : array (..., n), optional
        Leading axes are batch rows.

    Raises
    ------
    ConstantError
        When M is not monotone, naming the smallest eigenvalue of its symmetric part.

    Notes
    -----
    **Constants**, all exact up to rounding: mu = least eigenvalue of (M + M*)/2; L = |M|_2; beta = least eigenvalue of the
    symmetric part of the inverse of M on its range. **Resolvent**: one inverse of I + step M, kept for the last step size.
    **Cost** n^3 once, n^2 an application.

    References
    ----------
    Ryu and Boyd (2016), A primer on monotone operator methods.

    Examples
    --------
    >>> import numpy as np
    >>> A = Affine(np.array([[1.0, -1.0], [1.0, 1.0]]))
    >>> round(A.constants.strong_monotonicity, 9), round(A.constants.cocoercivity, 9)
    (1.0, 0.5)
    """

    M: Array
    q: Array | None = None
    _inverses: dict[float, Array] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        arrays.check_floating("Affine.M", self.M)
        if self.M.ndim != 2 or self.M.shape[0] != self.M.shape[1]:
            raise ShapeError(f"Affine: M must be a square matrix, got shape {tuple(self.M.shape)}")
        arrays.check_finite("Affine.M", self.M)
        if self.q is not None and (self.q.ndim < 1 or self.q.shape[-1] != self.M.shape[0]):
            raise ShapeError(f"Affine: q has shape {tuple(self.q.shape)}, but M has shape {tuple(self.M.shape)}")
        least, scale = self._least, self._singular[1]
        if least < -20 * self.M.shape[0] * arrays.epsilon(self.M) * max(scale, 1e-300):
            raise ConstantError(
                f"Affine: M is not monotone: the least eigenvalue of its symmetric part is {least:.6g} < 0; add at least "
                f"{-least:.6g} times the identity, or split M differently"
            )

    @cached_property
    def _adjoint(self) -> Array:
        xp = arrays.namespace(self.M)
        transposed = xp.matrix_transpose(self.M)
        return xp.conj(transposed) if xp.isdtype(self.M.dtype, "complex floating") else transposed

    @cached_property
    def _least(self) -> float:
        return float(arrays.namespace(self.M).linalg.eigvalsh(0.5 * (self.M + self._adjoint))[0])

    @cached_property
    def _singular(self) -> tuple[float, float]:
        values = arrays.namespace(self.M).linalg.svdvals(self.M)
        return float(values[-1]), float(values[0])

    @cached_property
    def constants(self) -> Constants:
        xp = arrays.namespace(self.M)
        rounding = 4 * self.M.shape[0] * arrays.epsilon(self.M) * self._singular[1]
        mu = max(self._least - rounding, 0.0)
        skewness = float(xp.max(xp.abs(self.M + self._adjoint)))
        asymmetry = float(xp.max(xp.abs(self.M - self._adjoint)))
        symmetric, skew = asymmetry <= rounding, skewness <= rounding and self._singular[1] > 0
        return Constants(
            0.0 if skew else mu,
            None if symmetric else self._cocoercivity(skew),
            self._singular[1],
            cyclic=symmetric,
            affine=True,
            skew=skew,
            why={
                "strong_monotonicity": "computed: least eigenvalue of the symmetric part",
                "cocoercivity": "computed: least eigenvalue of the symmetric part of the inverse on the range",
                "lipschitz": "computed: largest singular value",
            },
        )

    def _cocoercivity(self, skew: bool) -> float:
        """Least eigenvalue of sym(M^-1) on the range of M: <Mx, x> = <y, M^-1 y> with y = Mx."""
        if skew:
            return 0.0
        xp = arrays.namespace(self.M)
        left, values, right = xp.linalg.svd(self.M, full_matrices=False)
        tolerance = max(RANK_TOLERANCE, 10 * self.M.shape[0] * arrays.epsilon(self.M)) * float(values[0])
        rank = int(xp.sum(xp.astype(values > tolerance, xp.int64)))
        if rank == 0:
            return float("inf")
        adjoint_left = xp.matrix_transpose(left[:, :rank])
        adjoint_right = xp.matrix_transpose(right[:rank, :])
        if xp.isdtype(self.M.dtype, "complex floating"):
            adjoint_left, adjoint_right = xp.conj(adjoint_left), xp.conj(adjoint_right)
        inverse = (adjoint_left @ adjoint_right) / xp.expand_dims(values[:rank], axis=0)
        inverse_adjoint = xp.matrix_transpose(inverse)
        if xp.isdtype(self.M.dtype, "complex floating"):
            inverse_adjoint = xp.conj(inverse_adjoint)
        least = float(xp.linalg.eigvalsh(0.5 * (inverse + inverse_adjoint))[0])
        slack = 20 * self.M.shape[0] * arrays.epsilon(self.M) / float(values[rank - 1])
        return max(least - slack, 0.0)

    @property
    def input_shape(self) -> Any:
        return (int(self.M.shape[0]),)

    @cached_property
    def _transposed(self) -> Array:
        return arrays.namespace(self.M).matrix_transpose(self.M)

    def forward(self, x: Array) -> Array:
        product = self.M @ x if x.ndim == 1 else x @ self._transposed
        return product if self.q is None else product + self.q

    def resolvent(self, x: Array, step: float) -> Array:
        if step not in self._inverses:
            xp = arrays.namespace(self.M)
            identity = xp.eye(self.M.shape[0], dtype=self.M.dtype, device=arrays.device(self.M))
            self._inverses.clear()
            self._inverses[step] = xp.linalg.inv(identity + step * self._transposed)
        target = x if self.q is None else x - step * self.q
        return target @ self._inverses[step]

    def formula(self, x: str) -> str:
        return f"M{x}" if self.q is None else f"(M{x} + q)"


@final
@dataclass(frozen=True, eq=False)
class Skew(Operator):
    """(x, y) -> (K*y, -Kx) on Blocks for a linear map K: the coupling of a saddle problem.

    Notes
    -----
    **Constants** skew (mu = 0, not cocoercive), L = |K|. **Resolvent**, where K has (I + s K*K)^-1:
    x+ = (I + step^2 K*K)^-1 (x - step K*y), y+ = y + step K x+.

    Examples
    --------
    >>> import numpy as np
    >>> Skew(np.array([[2.0]])).forward(Blocks((np.array([1.0]), np.array([3.0]))))
    Blocks(array([6.]), array([-2.]))
    """

    map: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "map", as_linear_map(self.map))

    @cached_property
    def constants(self) -> Constants:
        norm = self.map.norm
        return Constants(lipschitz=norm.value, affine=True, skew=True, why=norm.why)

    @property
    def input_shape(self) -> Any:
        return (self.map.input_shape, self.map.output_shape)

    @property
    def has_resolvent(self) -> bool:
        return bool(self.map.has_regularized_inverse)

    def forward(self, z: Array) -> Array:
        x, y = z
        return Blocks((self.map.adjoint(y), -self.map.apply(x)))

    def resolvent(self, z: Array, step: float) -> Array:
        if not self.has_resolvent:
            raise CapabilityError(
                f"the resolvent of Skew needs (I + s K*K)^-1, which {type(self.map).__name__} does not have: "
                "use ForwardBackwardForward or ChambollePock"
            )
        x, y = z
        new_x = self.map.regularized_inverse(x - step * self.map.adjoint(y), step * step)
        return Blocks((new_x, y + step * self.map.apply(new_x)))

    def formula(self, x: str) -> str:
        return "(K*y, -Kx)"

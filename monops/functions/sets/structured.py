"""Subspaces of structured matrices: Hankel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["HankelComplement", "HankelSet"]


def antidiagonal_means(x: Array) -> Array:
    """Every entry of a matrix (..., m, n) replaced by the mean of its antidiagonal i + j = constant.

    Padding each row by m zeros and cutting the flat array into rows one shorter shifts row i by i, so that antidiagonals
    become columns.
    """
    xp = arrays.namespace(x)
    *lead, m, n = x.shape
    zeros = xp.zeros((*lead, m, m), dtype=x.dtype, device=arrays.device(x))
    width = m + n - 1

    def skew(matrix: Array) -> Array:
        flat = xp.reshape(xp.concat([matrix, zeros], axis=-1), (*lead, -1))
        return xp.reshape(flat[..., : m * width], (*lead, m, width))

    counts = xp.sum(skew(xp.ones_like(x)), axis=-2, keepdims=True)
    means = xp.sum(skew(x), axis=-2, keepdims=True) / counts
    spread = xp.reshape(xp.broadcast_to(means, (*lead, m, width)), (*lead, -1))
    padded = xp.concat([spread, xp.zeros((*lead, m), dtype=x.dtype, device=arrays.device(x))], axis=-1)
    return xp.reshape(padded, (*lead, m, width + 1))[..., :n]


@final
@dataclass(frozen=True, eq=False)
class HankelSet(Function):
    """Indicator of {X (m, n) : X_ij depends on i + j only}, the Hankel matrices; further axes index further matrices.

    Notes
    -----
    prox: the mean over each antidiagonal. **Domain** the subspace. **Constants** mu = 0. **Cost** four passes. **Derivative**
    of the prox: the projection itself, which is linear.

    References
    ----------
    Cadzow (1988), Signal enhancement: a composite property mapping algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> HankelSet().prox(np.array([[1.0, 2.0], [4.0, 5.0]]))
    array([[1., 3.],
           [3., 5.]])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(
                lambda a: cls(),
                (3, 4),
                lambda cp, y: [y[i, j] == y[i - 1, j + 1] for i in range(1, 3) for j in range(3)],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        if x.ndim < 2:
            raise ShapeError(f"HankelSet: x has shape {tuple(x.shape)}, a matrix is needed")
        xp = arrays.namespace(x)
        jump = xp.abs(x[..., 1:, :-1] - x[..., :-1, 1:])
        taller = xp.concat([jump, xp.zeros_like(x[..., :1, :-1])], axis=-2)
        return arrays.indicator(xp.concat([taller, xp.zeros_like(x[..., :1])], axis=-1), x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        if x.ndim < 2:
            raise ShapeError(f"HankelSet: x has shape {tuple(x.shape)}, a matrix is needed")
        return antidiagonal_means(x)

    def conjugate(self) -> Function:
        return HankelComplement(batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(antidiagonal_means, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i({x} is Hankel)"


@final
@dataclass(frozen=True, eq=False)
class HankelComplement(Function):
    """Indicator of {X : every antidiagonal sums to 0}, the orthogonal complement of the Hankel matrices.

    Notes
    -----
    prox: X minus the mean of each antidiagonal. **Domain** the subspace. **Constants** mu = 0. **Cost** five passes.
    **Derivative** of the prox: the projection itself, which is linear.

    References
    ----------
    Bauschke and Combettes (2017), chapter 3: the conjugate of the indicator of a subspace is that of its complement.

    Examples
    --------
    >>> import numpy as np
    >>> HankelComplement().prox(np.array([[1.0, 2.0], [4.0, 5.0]]))
    array([[ 0., -1.],
           [ 1.,  0.]])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def constraints(cp: object, y: object) -> list[object]:
            cells = np.add.outer(np.arange(3), np.arange(4))
            return [sum(y[i, j] for i in range(3) for j in range(4) if cells[i, j] == k) == 0 for k in range(6)]  # type: ignore[index]

        return (Sample(lambda a: cls(), (3, 4), constraints),)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return arrays.indicator(arrays.namespace(x).abs(antidiagonal_means(x)), x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return x - antidiagonal_means(x)

    def conjugate(self) -> Function:
        return HankelSet(batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(lambda h: h - antidiagonal_means(h), shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i(antidiagonals of {x} sum to 0)"

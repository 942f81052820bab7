"""Log-sum-exp and its conjugate, the negative entropy on the simplex."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.functions.arguments import check_prox
from monops.functions.equations import log, wright_omega, x_log_x
from monops.functions.feasibility import row_axes, row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.linear import LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne

__all__ = [
    "LogSumExp",
    "SimplexEntropy",
]

MAXIMUM_STEPS = 100  # three to six are usual


def normaliser(x: Array, batch_ndim: int) -> Array:
    """log(sum exp(x)) over each row, with the row axes kept; no overflow."""
    xp = arrays.namespace(x)
    axes = row_axes(x, batch_ndim)
    if not axes:
        return x
    largest = xp.max(x, axis=axes, keepdims=True)
    return largest + xp.log(xp.sum(xp.exp(x - largest), axis=axes, keepdims=True))


def softmax(x: Array, batch_ndim: int) -> Array:
    """exp(x)/sum exp(x) over each row."""
    return arrays.namespace(x).exp(x - normaliser(x, batch_ndim))


def implicit_softmax(x: Array, step: Any, batch_ndim: int) -> Array:
    """The s with s = softmax(x - step s) in each row: gradient of log-sum-exp at its prox.

    With m the normaliser at the prox, step s_i is Wright's omega at x_i - m + log(step), and m is where the s_i sum to 1: a
    convex decreasing function of m, whose logarithm is nearly linear.
    """
    xp = arrays.namespace(x)
    axes = row_axes(x, batch_ndim)
    if not axes:
        return xp.ones_like(x)
    with np.errstate(all="ignore"):
        shifted = arrays.clip(x - xp.max(x, axis=axes, keepdims=True), -0.25 * float(xp.finfo(x.dtype).max), None)
        base = shifted + log(step)
        upper = normaliser(shifted, batch_ndim)  # at s = 0; the prox lies below x by at most step
        lower = upper - step

        mean = step / float(max(math.prod(x.shape[batch_ndim:]), 1))
        m = upper - mean
        tolerance = 4.0 * arrays.epsilon(x)
        for _ in range(MAXIMUM_STEPS):  # Newton for the logarithm; bisection where it leaves the bracket
            omega = wright_omega(base - m)
            total = xp.sum(omega, axis=axes, keepdims=True)
            ratio = total / xp.sum(omega / (1.0 + omega), axis=axes, keepdims=True)
            newton = m + ratio * xp.log(total / step)
            left = total > step
            lower, upper = xp.where(left, m, lower), xp.where(left, upper, m)
            newton = xp.where((newton < lower) | (newton > upper), 0.5 * (lower + upper), newton)
            done = ~(xp.abs(newton - m) > tolerance * (1.0 + xp.abs(m)))
            m = newton
            if arrays.holds_everywhere(done):
                break
        s = wright_omega(base - m) / step
        return s / xp.sum(s, axis=axes, keepdims=True)


@final
@dataclass(frozen=True, eq=False)
class LogSumExp(Function):
    """f(x) = log(sum_i exp(x_i)) over all entries of a row; its gradient is softmax.

    Notes
    -----
    prox: x - step s with s = softmax(x - step s): s_i = omega(x_i - m + log(step))/step with Wright's omega, omega(z) +
    log(omega(z)) = z, and m the root of sum s_i = 1, by Newton's method in every row at once. **Domain** everything.
    **Constants** L = 1/2 (attained in the direction (1, -1, 0, ...)/sqrt(2) at s = (1/2, 1/2, 0, ...)); L = 0 for one entry;
    mu = 0; f is 1-Lipschitz. **Cost** five to seven times ten logarithms and exponentials an entry. **Derivative** of the
    prox: D + step (D s)(D s)'/sum(D s) with D = 1/(1 + step s), diagonal plus rank one.

    References
    ----------
    Corless and Jeffrey (2002), The Wright omega function; Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LogSumExp().prox(np.array([1.0, 1.0, -1e9])), 12)
    array([ 5.e-01,  5.e-01, -1.e+09])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (2,), lambda cp, y: cp.log_sum_exp(y)),
            Sample(lambda a: cls(), (2, 3), lambda cp, y: cp.log_sum_exp(y), exact=False),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=0.5, cyclic=True, why="computed: largest eigenvalue of diag(s) - s s' on the simplex")

    @property
    def value_lipschitz(self) -> Known:
        return Known(1.0, "computed: norm of softmax")

    def __call__(self, x: Array) -> Array:
        return arrays.namespace(x).reshape(normaliser(x, self.batch_ndim), x.shape[: self.batch_ndim])

    def gradient(self, x: Array) -> Array:
        return softmax(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still, plain = autodiff.detach(x), autodiff.detach(step)
        return self.with_derivative(x, step, still - plain * implicit_softmax(still, plain, self.batch_ndim))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        shrunk, vector, total = self._parts(x, step)
        return DiagonalPlusRankOne(shrunk, vector, step / total, row_axes(x, self.batch_ndim))

    def _parts(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """D, D s and its sum."""
        s = implicit_softmax(x, step, self.batch_ndim)
        shrunk = 1.0 / (1.0 + step * s)
        vector = shrunk * s
        axes = row_axes(x, self.batch_ndim)
        return shrunk, vector, arrays.namespace(x).sum(vector, axis=axes, keepdims=True) if axes else vector

    def conjugate(self) -> Function:
        return SimplexEntropy(batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"log sum exp({x})"


@final
@dataclass(frozen=True, eq=False)
class SimplexEntropy(Function):
    """f(x) = sum_i x_i log(x_i) on the simplex {x >= 0, sum x = 1} of all entries of a row: the conjugate of log-sum-exp.

    Notes
    -----
    prox: the s with s = softmax((x - s)/step), found as in ``LogSumExp`` (Moreau's decomposition). **Domain** the simplex.
    **Constants** mu = 2, the inverse of the Lipschitz constant 1/2 of softmax; no gradient. **Cost** that of ``LogSumExp``.
    **Derivative** of the prox: E - (E 1)(E 1)'/sum(E 1) with the diagonal E = p/(p + step).

    References
    ----------
    Bauschke and Combettes (2017), chapters 13, 18 and 24.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(SimplexEntropy().prox(np.array([1.0, 1.0, -1e9])), 12)
    array([0.5, 0.5, 0. ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def reference(cp: Any, y: Any) -> Any:
            return -cp.sum(cp.entr(y)), [cp.sum(y) == 1]

        return (Sample(lambda a: cls(), (5,), reference), Sample(lambda a: cls(), (2, 3), reference))

    @cached_property
    def constants(self) -> Constants:
        return Constants(2.0, cyclic=True, why="computed: inverse of the Lipschitz constant 1/2 of softmax")

    @property
    def domain(self) -> Function:
        from monops.functions.sets.simplices import Simplex  # of another family: imported where it is made

        return Simplex(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        value = arrays.row_sum(x_log_x(x), self.batch_ndim)
        total = arrays.row_sum(x, self.batch_ndim)
        slack = row_slack(total, x, self.batch_ndim)
        return value + zero_or_infinity(arrays.namespace(x).abs(total - 1.0) <= slack, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still, plain = autodiff.detach(x), autodiff.detach(step)
        return self.with_derivative(x, step, implicit_softmax(still / plain, 1.0 / plain, self.batch_ndim))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        p = implicit_softmax(x / step, 1.0 / step, self.batch_ndim)
        diagonal = p / (p + step)
        axes = row_axes(x, self.batch_ndim)
        total = arrays.namespace(x).sum(diagonal, axis=axes, keepdims=True) if axes else diagonal
        return DiagonalPlusRankOne(diagonal, diagonal, -1.0 / total, axes)

    def conjugate(self) -> Function:
        return LogSumExp(batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {x} log({x}) + i({x} in simplex)"

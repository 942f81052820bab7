"""The proximal average of several functions: the function whose prox is the average of their proxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.function import Function, Zero
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["ProximalAverage"]


@final
@dataclass(frozen=True, eq=False)
class ProximalAverage(Iterative):
    """The convex function f whose prox with step ``parameter`` is the weighted average of the proxes of f1, f2, ...

    f + |.|^2/(2 parameter) is the conjugate of the average of the conjugates of f_i + |.|^2/(2 parameter): it interpolates
    between the functions and stays close to all of them, with a prox that costs theirs.

    Parameters
    ----------
    functions : tuple of Function
    weights : tuple of float, optional
        Positive, summing to 1. Default: equal.
    parameter : float, default 1
        The step at which the average of the proxes is exact.

    Notes
    -----
    prox: sum of w_i prox_{parameter f_i}(x) for step = parameter. For another step the point p = T(w), T that average and
    parameter = m, where (step/m) w + (1 - step/m) T(w) = x: a strongly monotone equation, solved by the contraction w <- w -
    (its residual)/max(1, step/m) with a certified error. **Domain** unknown in closed form; the value is not closed-form.
    **Constants** mu = the mean w of (mu_i) in the sense of resolvents: 1/mean of 1/(1 + m mu_i), less 1, over m.
    **Cost** the proxes, times the inner iterations for another step. **Derivative** of the prox: J = sum of w_i J_i for step =
    parameter; else J ((step/m) I + (1 - step/m) J)^-1, by the same iteration.

    References
    ----------
    Bauschke, Goebel, Lucet and Wang (2008), The proximal average: basic theory.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm, NonNegative
    >>> f = ProximalAverage((L1Norm(), NonNegative()))
    >>> f.prox(np.array([3.0, -4.0]), 1.0)
    array([ 2.5, -1.5])
    """

    functions: tuple[Function, ...]
    weights: tuple[float, ...] | None = None
    parameter: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "functions", tuple(self.functions))
        count = len(self.functions)
        if not count:
            raise DataError("ProximalAverage needs at least one function")
        weights = (1.0 / count,) * count if self.weights is None else tuple(float(w) for w in self.weights)
        if len(weights) != count or min(weights) <= 0 or abs(sum(weights) - 1.0) > 1e-12:
            raise DataError(f"ProximalAverage: weights={self.weights!r} must be {count} positive numbers that sum to 1")
        object.__setattr__(self, "weights", weights)
        if not 0 < self.parameter < math.inf:
            raise DataError(f"ProximalAverage: parameter={self.parameter!r} must be a finite number > 0")
        for function in self.functions:
            if not function.is_convex:
                raise DataError(f"ProximalAverage: {type(function).__name__} is nonconvex: the average need not be a prox")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2
        from monops.functions.sets.sets import Box

        return (
            Sample(lambda a: cls((L1Norm(0.8), Box(-0.5, 1.0)), (0.3, 0.7), 0.7, tolerance=1e-13), (5,), accuracy=1e-9),
            Sample(lambda a: cls((SquaredL2(1.0), SquaredL2(3.0)), parameter=0.5, tolerance=1e-13), (5,), accuracy=1e-9),
        )

    @cached_property
    def constants(self) -> Constants:
        mus = [function.constants.strong_monotonicity for function in self.functions]
        if any(mu is None for mu in mus):
            return Constants(cyclic=True)
        slope = sum(w / (1.0 + self.parameter * mu) for w, mu in zip(self._weights, mus, strict=True) if mu is not None)
        mu = max(1.0 / slope - 1.0, 0.0) / self.parameter
        return Constants(mu, cyclic=True, why="rule: average of the Lipschitz constants of the resolvents")

    @property
    def _weights(self) -> tuple[float, ...]:
        return self.weights or ()

    @property
    def domain(self) -> Function | None:
        whole = all(isinstance(function.domain, Zero) for function in self.functions)
        return Zero(batch_ndim=self.batch_ndim) if whole else None

    def _average(self, x: Array) -> Array:
        pairs = zip(self._weights, self.functions, strict=True)
        parts = [weight * function.prox(x, self.parameter) for weight, function in pairs]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def conjugate(self) -> Function:
        return ProximalAverage(
            tuple(function.conjugate() for function in self.functions),
            self.weights,
            1.0 / self.parameter,
            batch_ndim=self.batch_ndim,
            tolerance=self.tolerance,
            max_iter=self.max_iter,
        )

    def target_error(self, x: Array, tolerance: float | None) -> Any:
        """Tolerance (1 + |x|), not below rounding: the iteration is a contraction."""
        chosen = tolerance if tolerance is not None else self.tolerance
        return max(1e-9 if chosen is None else float(chosen), 8 * arrays.epsilon(x)) * (1.0 + arrays.norm(x, self.batch_ndim))

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        r = step / self.parameter
        zero = 0.0 * arrays.norm(x, self.batch_ndim)
        if r == 1.0:
            return CertifiedProx(self._average(x), zero, zero, 1, True)
        point, error, reached, iterations = self._solve(self._average, x, r, self.target_error(x, tolerance))
        return CertifiedProx(point, error * error / (2.0 * step), error, iterations, reached)

    def _solve(self, T: Any, x: Array, r: Any, allowed: Array) -> tuple[Array, Array, bool, int]:
        """T(w) with r w + (1 - r) T(w) = x, for T firmly nonexpansive, by a contraction with factor |1 - min(r, 1/r)|.

        The left side is min(r, 1)-strongly monotone in w, so that |T(w) - answer| <= |residual|/min(r, 1).
        """
        w, iterations = x, 0
        xp = arrays.namespace(allowed)
        while True:
            point = T(w)
            residual = r * w + (1.0 - r) * point - x
            error = arrays.norm(residual, self.batch_ndim) / min(float(r), 1.0)
            ended = (error <= allowed) | ~(error < math.inf)
            iterations += 1
            if arrays.holds_everywhere(ended) or iterations >= self.max_iter:
                return point, error, bool(xp.all(error <= allowed)), iterations
            w = w - residual / max(float(r), 1.0)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        r = step / self.parameter
        w = x
        if r != 1.0:
            point = self.prox_certified(x, step).point
            w = (x - (1.0 - r) * point) / r
        jacobians = [function.prox_derivative(w, self.parameter) for function in self.functions]

        def average(h: Array) -> Array:
            parts = [weight * jacobian.apply(h) for weight, jacobian in zip(self._weights, jacobians, strict=True)]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return total

        if r == 1.0:
            return SelfAdjointMap(average, shape_of(x))
        return SelfAdjointMap(lambda h: self._solve(average, h, r, self.target_error(h, 1e-15))[0], shape_of(x))

    def value_formula(self, x: str) -> str:
        names = ", ".join(function.value_formula(".") for function in self.functions)
        return f"proximal average of ({names})({x})"

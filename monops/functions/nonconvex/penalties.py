"""Smooth-tailed nonconvex penalties: logarithmic, exponential, Geman, Cauchy and capped l1; see nonconvex.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.functions.nonconvex.nonconvex import Penalty, check_positive, larger_root
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample

__all__ = ["CappedL1", "CauchyPenalty", "ExponentialPenalty", "GemanPenalty", "LogPenalty", "TruncatedQuadratic"]


@final
@dataclass(frozen=True, eq=False)
class LogPenalty(Penalty):
    """f(x) = weight sum log(1 + |x_i|/scale).

    Notes
    -----
    prox: 0, or the larger root of y^2 + (scale - |x|) y + step weight - |x| scale = 0, whichever has the lower objective.
    **Domain** everything. **Constants** mu = -weight/scale^2: weakly convex. **Cost** some 12 passes, one root, two logarithms.
    **Derivative** of the prox: 1/(1 + step f''(p)) where p is not 0, else 0.

    References
    ----------
    Candes, Wakin and Boyd (2008), Enhancing sparsity by reweighted l1 minimization.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LogPenalty(1.0, 1.0).prox(np.array([3.0, 0.5])), 6)
    array([2.732051, 0.      ])
    """

    weight: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("LogPenalty", weight=self.weight, scale=self.scale)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 0.4), (5,)), Sample(lambda a: cls(0.3, 2.0), (5,)))

    @property
    def weak_convexity(self) -> float:
        return float(self.weight) / float(self.scale) ** 2

    def magnitude_value(self, t: Array) -> Array:
        return self.weight * arrays.namespace(t).log1p(t / self.scale)

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        xp = arrays.namespace(t)
        total = t + self.scale
        share = arrays.clip(1.0 - (4.0 * step * self.weight) / total / total, 0.0, None)
        return [arrays.clip(0.5 * ((t - self.scale) + total * xp.sqrt(share)), 0.0, None)]

    def entry_curvature(self, x: Array) -> Array:
        return -self.weight / (self.scale + x) ** 2

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        total = self.scale + xp.abs(p)
        return {"weight": xp.sign(p) / total, "scale": -self.weight * xp.sign(p) / total**2}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum log(1 + |{x}|/{self.scale:g})"


@final
@dataclass(frozen=True, eq=False)
class ExponentialPenalty(Penalty):
    """f(x) = weight sum (1 - exp(-rate |x_i|)), bounded by weight an entry.

    Notes
    -----
    prox: 0, or the larger root y of y + step weight rate exp(-rate y) = |x|, whichever has the lower objective; by safeguarded
    Newton. **Domain** everything. **Constants** mu = -weight rate^2: weakly convex. **Cost** about 6 passes of an exponential.
    **Derivative** of the prox: 1/(1 + step f''(p)) where p is not 0, else 0.

    References
    ----------
    Bradley and Mangasarian (1998); Gao, Wang and Lu (2011), A feasible nonconvex relaxation approach to feature selection.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(ExponentialPenalty(1.0, 1.0).prox(np.array([3.0, 0.5])), 6)
    array([2.947531, 0.      ])
    """

    weight: float = 1.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        check_positive("ExponentialPenalty", weight=self.weight, rate=self.rate)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 1.7), (5,)), Sample(lambda a: cls(0.3, 0.6), (5,)))

    @property
    def weak_convexity(self) -> float:
        return float(self.weight) * float(self.rate) ** 2

    def magnitude_value(self, t: Array) -> Array:
        return -self.weight * arrays.namespace(t).expm1(-self.rate * t)

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        xp = arrays.namespace(t)
        s = step * self.weight * self.rate
        turning = xp.log(s * self.rate + 0.0 * t) / self.rate

        def equation(y: Array) -> tuple[Array, Array]:
            decay = s * xp.exp(-self.rate * y)
            return y + decay - t, 1.0 - self.rate * decay

        return [larger_root(equation, turning, t)]

    def entry_curvature(self, x: Array) -> Array:
        return -self.weight * self.rate**2 * arrays.namespace(x).exp(-self.rate * x)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        size = xp.abs(p)
        decay = xp.sign(p) * xp.exp(-self.rate * size)
        return {"weight": self.rate * decay, "rate": self.weight * decay * (1.0 - self.rate * size)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum (1 - exp(-{self.rate:g} |{x}|))"


@final
@dataclass(frozen=True, eq=False)
class GemanPenalty(Penalty):
    """f(x) = weight sum |x_i|/(|x_i| + scale), bounded by weight an entry.

    Notes
    -----
    prox: 0, or the larger root y of (y - |x|) (y + scale)^2 + step weight scale = 0, whichever has the lower objective; the
    root in closed form. **Domain** everything. **Constants** mu = -2 weight/scale^2: weakly convex. **Cost** some 20 passes.
    **Derivative** of the prox: 1/(1 + step f''(p)) where p is not 0, else 0.

    References
    ----------
    Geman and Yang (1995), Nonlinear image recovery with half-quadratic regularization.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(GemanPenalty(1.0, 1.0).prox(np.array([3.0, 0.5])), 6)
    array([2.935432, 0.      ])
    """

    weight: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("GemanPenalty", weight=self.weight, scale=self.scale)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 0.5), (5,)), Sample(lambda a: cls(0.3, 2.0), (5,)))

    @property
    def weak_convexity(self) -> float:
        return 2.0 * float(self.weight) / float(self.scale) ** 2

    def magnitude_value(self, t: Array) -> Array:
        return self.weight * (t / (t + self.scale))

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        xp = arrays.namespace(t)
        s, total = step * self.weight * self.scale, t + self.scale
        # z = y + scale: z^3 - total z^2 + s = 0, whose largest root is real when 27 s <= 4 total^3
        cosine = 1.0 - (13.5 * s) / total / total / total
        exists = cosine >= -1.0
        z = (total / 3.0) * (1.0 + 2.0 * xp.cos(xp.acos(arrays.clip(cosine, -1.0, 1.0)) / 3.0))
        pull = s / z / z
        slope = 1.0 - 2.0 * pull / z
        polished = z - (z - total + pull) / xp.where(slope > 0.1, slope, xp.ones_like(slope))  # one step of Newton
        return [xp.where(exists, arrays.clip(xp.where(slope > 0.1, polished, z) - self.scale, 0.0, None), 0.0 * t)]

    def entry_curvature(self, x: Array) -> Array:
        return -2.0 * self.weight * self.scale / (x + self.scale) ** 3

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        size, c = xp.abs(p), self.scale
        in_scale = self.weight * (size - c) / (size + c) ** 3
        return {"weight": xp.sign(p) * c / (size + c) ** 2, "scale": xp.sign(p) * in_scale}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum |{x}|/(|{x}| + {self.scale:g})"


@final
@dataclass(frozen=True, eq=False)
class CauchyPenalty(Penalty):
    """f(x) = weight sum log(1 + x_i^2/scale^2): smooth, with the tail of a Cauchy distribution.

    Notes
    -----
    prox: the smallest or the largest root of (y - |x|) (y^2 + scale^2) + 2 step weight y = 0, whichever has the lower
    objective; Newton's method from 0 and from |x| is monotone towards them. **Domain** everything. **Constants**
    mu = -weight/(4 scale^2): weakly convex. **Cost** about 10 passes. **Derivative** of the prox: 1/(1 + step f''(p)).

    References
    ----------
    Karakus, Mayo and Achim (2020), Convergence guarantees for non-convex optimisation with Cauchy-based penalties.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(CauchyPenalty(1.0, 1.0).prox(np.array([3.0, 0.5])), 6)
    array([2.259921, 0.169841])
    """

    weight: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive("CauchyPenalty", weight=self.weight, scale=self.scale)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 0.4), (5,)), Sample(lambda a: cls(0.3, 2.0), (5,)))

    @property
    def weak_convexity(self) -> float:
        return float(self.weight) / (4.0 * float(self.scale) ** 2)

    def magnitude_value(self, t: Array) -> Array:
        return self.weight * arrays.namespace(t).log1p((t / self.scale) ** 2)

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        xp = arrays.namespace(t)
        s, c2 = 2.0 * step * self.weight, self.scale**2

        def equation(y: Array) -> tuple[Array, Array]:
            total = y * y + c2
            pull = s * y / total
            return y + pull - t, 1.0 + (s / total) * ((c2 - y * y) / total)

        # between the two outer roots the left side may fall: bracket each on its own side of the turning points
        middle = s - 2.0 * c2
        inside = arrays.clip(middle * middle - 4.0 * c2 * (c2 + s) + 0.0 * t, 0.0, None)
        spread = xp.sqrt(inside)
        falls = (inside > 0) & (middle > 0)
        first = xp.sqrt(arrays.clip(0.5 * (middle - spread), 0.0, None))
        second = xp.sqrt(arrays.clip(0.5 * (middle + spread), 0.0, None))
        upper_end = xp.where(falls, xp.where(first < t, first, t), t)
        lower_end = xp.where(falls, xp.where(second < t, second, t), 0.0 * t)
        small = increasing_root(equation, 0.0 * t, upper_end, 0.5 * upper_end)
        large = increasing_root(equation, lower_end, t, t)
        return [small, large]

    def entry_curvature(self, x: Array) -> Array:
        c2 = self.scale**2
        return 2.0 * self.weight * (c2 - x * x) / (c2 + x * x) ** 2

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return 1.0 / (1.0 + step * self.entry_curvature(p))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        c = self.scale
        total = c * c + p * p
        return {"weight": 2.0 * p / total, "scale": -4.0 * self.weight * c * p / total**2}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum log(1 + ({x}/{self.scale:g})^2)"


@final
@dataclass(frozen=True, eq=False)
class CappedL1(Penalty):
    """f(x) = weight sum min(|x_i|, cap).

    Notes
    -----
    prox: the better of the soft threshold, not above the cap, and |x|, not below it. **Domain** everything. **Constants** none:
    a concave corner at the cap. **Cost** some 10 passes. **Derivative** of the prox: 1 where p moves with x, else 0.

    References
    ----------
    Zhang (2010), Analysis of multi-stage convex relaxation for sparse regularization.

    Examples
    --------
    >>> import numpy as np
    >>> CappedL1(1.0, 2.0).prox(np.array([1.5, 5.0]))
    array([0.5, 5. ])
    """

    weight: float = 1.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        check_positive("CappedL1", weight=self.weight, cap=self.cap)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, 0.9), (5,)),)

    def magnitude_value(self, t: Array) -> Array:
        return self.weight * arrays.clip(t, None, self.cap)

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        return [arrays.clip(t - step * self.weight, 0.0, self.cap), arrays.clip(t, self.cap, None)]

    def entry_curvature(self, x: Array) -> Array:
        return 0.0 * x

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        return {"weight": xp.where(xp.abs(p) < self.cap, xp.sign(p), 0.0 * p)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} sum min(|{x}|, {self.cap:g})"


@final
@dataclass(frozen=True, eq=False)
class TruncatedQuadratic(Penalty):
    """f(x) = weight sum min(x_i^2, cap^2)/2: least squares that gives up on outliers; relaxed Mumford-Shah on a gradient.

    Notes
    -----
    prox: the better of |x|/(1 + step weight), not above the cap, and |x|, not below it. **Domain** everything. **Constants**
    none: a concave corner at the cap. **Cost** some 10 passes. **Derivative** of the prox: 1/(1 + step weight) or 1.

    References
    ----------
    Blake and Zisserman (1987), Visual Reconstruction; Strekalovskiy and Cremers (2014), Real-time minimization of the
    piecewise smooth Mumford-Shah functional.

    Examples
    --------
    >>> import numpy as np
    >>> TruncatedQuadratic(1.0, 2.0).prox(np.array([1.0, 5.0]))
    array([0.5, 5. ])
    """

    weight: float = 1.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        check_positive("TruncatedQuadratic", weight=self.weight, cap=self.cap)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(1.8, 0.9), (5,)),)

    def magnitude_value(self, t: Array) -> Array:
        near = arrays.clip(t, None, self.cap)
        return 0.5 * self.weight * near * near

    def magnitude_candidates(self, t: Array, step: Any) -> list[Array]:
        return [arrays.clip(t / (1.0 + step * self.weight), None, self.cap), arrays.clip(t, self.cap, None)]

    def entry_curvature(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return xp.where(xp.abs(x) < self.cap, 0.0 * x + self.weight, 0.0 * x)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return 1.0 / (1.0 + step * self.entry_curvature(p))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        return {"weight": xp.where(xp.abs(p) < self.cap, p, 0.0 * p)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/2 sum min({x}^2, {self.cap:g}^2)"

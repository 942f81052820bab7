"""Indicators of the epigraphs of scalar functions, entry by entry: {(x, t) : phi(x_i) <= t_i for every i}."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.divergences.pairs import (
    Pairwise,
    graph_derivative,
    log_or_minus_infinity,
    power_root,
    project_on_exponential,
    quadratic_multiplier,
)
from monops.functions.sample import Sample

__all__ = [
    "EpigraphAbs",
    "EpigraphExp",
    "EpigraphHinge",
    "EpigraphNegativeLog",
    "EpigraphPower",
    "EpigraphSquare",
]


@dataclass(frozen=True, eq=False)
class _EntryEpigraph(Pairwise):
    """Indicator of {phi(x_i) <= t_i}: a subclass gives ``height`` and ``boundary``."""

    @property
    def is_indicator(self) -> bool:
        return True

    def height(self, x: Array, slack: Any) -> Array:
        """The least phi within ``slack`` of every entry."""
        raise NotImplementedError

    def boundary(self, x: Array, t: Array) -> tuple[Array, Array]:
        """The projection of every pair outside; anything for pairs inside."""
        raise NotImplementedError

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        """phi'(p) and 1/(1 + multiplier phi''(p)) at the projection (p, s) of a pair outside; the latter 0 at a corner."""
        raise NotImplementedError

    def entry_value(self, x: Array, y: Array) -> Array:
        xp = arrays.namespace(x)
        slack = 8 * arrays.epsilon(x) * xp.maximum(arrays.clip(xp.abs(x), 1.0, None), xp.abs(y))
        return xp.where(self.height(x, slack) <= y + slack, 0.0 * x, xp.zeros_like(x) + math.inf)

    def outside(self, x: Array, t: Array) -> Array:
        """Whether phi(x) > t; false for NaN."""
        return self.height(x, 0.0) > t

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        outside = self.outside(x, y)
        p, s = self.boundary(x, y)
        return xp.where(outside, p, x), xp.where(outside, s, y)

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        return graph_derivative(*self.normal(x, y, p, q), self.outside(x, y))


@final
@dataclass(frozen=True, eq=False)
class EpigraphAbs(_EntryEpigraph):
    """Indicator of {(x, t) : |x_i| <= t_i for every i}: quarter planes, the cones of the absolute value.

    Notes
    -----
    prox: with s = max(0, t, (|x| + t)/2) entry by entry, (sign(x) min(|x|, s), s). **Domain** the set. **Constants** mu = 0.
    **Cost** two passes. **Derivative** of the prox: 1/2 (1, sign x; sign x, 1) on the faces, the identity inside (and at its
    boundary), 0 where the vertex is nearest.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphAbs().prox(Blocks((np.array([3.0, 1.0, -1.0]), np.array([1.0, 5.0, -2.0]))))
    Blocks(array([ 2.,  1., -0.]), array([2., 5., 0.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: [cp.abs(z[0]) <= z[1]]),)

    def height(self, x: Array, slack: Any) -> Array:
        return arrays.clip(arrays.namespace(x).abs(x) - slack, 0.0, None)

    def boundary(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        size = xp.abs(x)
        s = arrays.clip(0.5 * size + 0.5 * t, 0.0, None)
        return xp.sign(x) * xp.minimum(size, s), s

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        return xp.sign(x), xp.astype(s > 0, x.dtype)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}| <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphHinge(_EntryEpigraph):
    """Indicator of {(x, t) : max(0, margin - x_i) <= t_i for every i}; in -x and with margin 0 that of the positive part.

    Parameters
    ----------
    margin : float, default 1
        Where the hinge begins to rise, towards the left.

    Notes
    -----
    prox: with z = margin - x and s = max(0, t, (z + t)/2) entry by entry, (margin - min(z, s), s). **Domain** the set.
    **Constants** mu = 0. **Cost** two passes. **Derivative** of the prox: that of the face that is nearest, the identity inside
    (and at its boundary), 0 where the corner is nearest.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphHinge().prox(Blocks((np.array([-1.0, 3.0]), np.array([0.0, -2.0]))))
    Blocks(array([0., 3.]), array([1., 0.]))
    """

    margin: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.margin):
            raise DataError(f"EpigraphHinge: margin={self.margin!r} must be a finite number")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: [cp.pos(1.0 - z[0]) <= z[1]]),
            Sample(lambda a: cls(0.0), ((5,), (5,)), lambda cp, z: [cp.pos(-z[0]) <= z[1]]),
        )

    def height(self, x: Array, slack: Any) -> Array:
        return arrays.clip(self.margin - x - slack, 0.0, None)

    def boundary(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        z = self.margin - x
        s = arrays.clip(xp.where(z > -t, 0.5 * z + 0.5 * t, t), 0.0, None)
        return xp.where(z <= s, x, self.margin - s), s

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        flat = self.margin - x < 0
        slope = xp.where(flat, 0.0 * x, -xp.ones_like(x))
        return slope, xp.astype(flat | (s > 0), x.dtype)

    def entry_parameter_columns(self, x: Array, y: Array, step: Any) -> dict[str, tuple[Array, Array]]:
        a, b, _ = self.entry_prox_derivative(x, y, *self.entry_prox(x, y, step), step)
        return {"margin": (1.0 - a, -b)}

    def value_formula(self, x: str) -> str:
        return f"i(max(0, {self.margin:g} - {x}) <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphExp(_EntryEpigraph):
    """Indicator of {(x, t) : exp(x_i) <= t_i for every i}.

    Notes
    -----
    prox: outside the set (q, exp(q)) with the root q of q - x + exp(q) (exp(q) - t) = 0, by Newton's method in a bracket of
    logarithms: no exponential overflows. **Domain** the set. **Constants** mu = 0. **Cost** about 6 exponentials an entry.
    **Derivative** of the prox: with g = exp(q) and J = 1/(1 + (g - t) g), J/(1 + J g^2) (1, g; g, g^2); the identity
    inside (and at its boundary).

    References
    ----------
    Beck (2017), First-Order Methods in Optimization, Theorem 6.36. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> q, s = EpigraphExp().prox(Blocks((np.array([1.0 + np.e]), np.array([np.e - 1.0]))))
    >>> np.round(q, 12), np.round(s - np.e, 12)
    (array([1.]), array([0.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: [cp.exp(z[0]) <= z[1]]),)

    def height(self, x: Array, slack: Any) -> Array:
        return arrays.namespace(x).exp(x - slack)

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        return project_on_exponential(x, y)

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        return s, 1.0 / (1.0 + arrays.clip(s - t, 0.0, None) * s)

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        return graph_derivative(*self.normal(x, y, p, q), x > log_or_minus_infinity(y))

    def value_formula(self, x: str) -> str:
        return f"i(exp({x}) <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphNegativeLog(_EntryEpigraph):
    """Indicator of {(x, t) : -log(x_i) <= t_i for every i}: x and -t change places in the epigraph of exp.

    Notes
    -----
    prox: (s, -q) with (q, s) the projection of (-t, x) on {exp(q) <= s}. **Domain** the set. **Constants** mu = 0. **Cost**
    about 6 exponentials an entry. **Derivative** of the prox: that of the projection on the epigraph of exp with the two
    components exchanged; the identity inside (and at its boundary).

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphNegativeLog().prox(Blocks((np.array([1.0]), np.array([3.0]))))
    Blocks(array([1.]), array([3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: [-cp.log(z[0]) <= z[1]]),)

    def height(self, x: Array, slack: Any) -> Array:
        return -log_or_minus_infinity(x + slack)

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        q, s = project_on_exponential(-y, x)
        return s, -q

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        inner = 1.0 / (1.0 + arrays.clip(p - x, 0.0, None) * p)
        a, b, c = graph_derivative(p, inner, self.outside(x, y))
        return c, -b, a

    def value_formula(self, x: str) -> str:
        return f"i(-log({x}) <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphSquare(_EntryEpigraph):
    """Indicator of {(x, t) : x_i^2/2 <= t_i for every i}.

    Notes
    -----
    prox: outside the set (x/(1 + m), t + m) with the root m of m = x^2/(2 (1 + m)^2) - t, by Newton's method.
    **Domain** the set. **Constants** mu = 0. **Cost** about 6 passes. **Derivative** of the prox: with the new x = q and J =
    1/(1 + m), J/(1 + J q^2) (1, q; q, q^2); the identity inside (and at its boundary).

    References
    ----------
    Beck (2017), First-Order Methods in Optimization, Theorem 6.36. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphSquare().prox(Blocks((np.array([4.0, 1.0]), np.array([1.0, 3.0]))))
    Blocks(array([2., 1.]), array([2., 3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: [0.5 * cp.square(z[0]) <= z[1]]),)

    def height(self, x: Array, slack: Any) -> Array:
        return 0.5 * arrays.clip(arrays.namespace(x).abs(x) - slack, 0.0, None) ** 2

    def boundary(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        multiplier = quadratic_multiplier(xp.abs(x), -t, 1.0)
        q = x / (1.0 + multiplier)
        return q, xp.where(t > 0, t + multiplier, 0.5 * q * q)

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        return p, 1.0 / (1.0 + arrays.clip(s - t, 0.0, None))

    def value_formula(self, x: str) -> str:
        return f"i({x}^2/2 <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphPower(_EntryEpigraph):
    """Indicator of {(x, t) : |x_i|^p <= t_i for every i}, p > 1.

    Parameters
    ----------
    p : float, default 2
        The exponent, more than 1; `EpigraphAbs` is p = 1.

    Notes
    -----
    prox: outside the set (sign(x) q, q^p) with the root q >= 0 of q + p q^(2p-1) - p t q^(p-1) = |x|, by Newton's method in
    log q. **Domain** the set. **Constants** mu = 0. **Cost** about 6 times three exponentials an entry. **Derivative** of the
    prox: with g = p q^(p-1) sign(x) and J = 1/(1 + (q^p - t) p (p-1) q^(p-2)), J/(1 + J g^2) (1, g; g, g^2); the identity
    inside (and at its boundary).

    References
    ----------
    Beck (2017), First-Order Methods in Optimization, Theorem 6.36. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> q, s = EpigraphPower(3.0).prox(Blocks((np.array([-4.0]), np.array([0.0]))))
    >>> np.round(q, 12), np.round(s, 12)
    (array([-1.]), array([1.]))
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        if not 1.0 < self.p < math.inf:
            raise DataError(f"EpigraphPower: p={self.p!r} must be a finite number > 1; EpigraphAbs is the case p = 1")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(3.0), ((5,), (5,)), lambda cp, z: [cp.power(cp.abs(z[0]), 3) <= z[1]]),
            Sample(lambda a: cls(1.5), ((5,), (5,)), lambda cp, z: [cp.power(cp.abs(z[0]), 1.5) <= z[1]]),
        )

    def height(self, x: Array, slack: Any) -> Array:
        return arrays.clip(arrays.namespace(x).abs(x) - slack, 0.0, None) ** self.p

    def outside(self, x: Array, t: Array) -> Array:
        """In logarithms, so that |x|^p cannot overflow or underflow."""
        size = arrays.namespace(x).abs(x)
        return (size > 0) & (self.p * log_or_minus_infinity(size) > log_or_minus_infinity(t)) | (t < 0)

    def _root(self, x: Array, t: Array) -> Array:
        xp = arrays.namespace(x)
        one = xp.ones_like(x)
        outside = (x != 0) & self.outside(x, t)
        size = xp.log(xp.where(outside, xp.abs(x), one))
        t = xp.where(outside, t, -one)
        depth, p = log_or_minus_infinity(xp.abs(t)), self.p
        u = power_root(
            (-size, 1.0), (math.log(p) - size, 2.0 * p - 1.0), (math.log(p) + depth - size, p - 1.0), outside & (t > 0)
        )
        return xp.where(outside, xp.exp(u), 0.0 * x)

    def boundary(self, x: Array, t: Array) -> tuple[Array, Array]:
        q = self._root(x, t)
        return arrays.namespace(x).sign(x) * q, q**self.p

    def normal(self, x: Array, t: Array, p: Array, s: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        power, size = self.p, xp.abs(p)
        base = xp.where(size > 0, size, xp.ones_like(x))
        at_zero = 0.0 if power > 2 else (2.0 if power == 2 else math.inf)
        curvature = xp.where(size > 0, power * (power - 1.0) * base ** (power - 2.0), xp.zeros_like(x) + at_zero)
        multiplier = xp.where(s > t, s - t, xp.ones_like(x))
        return power * xp.sign(p) * size ** (power - 1.0), xp.where(s > t, 1.0 / (1.0 + multiplier * curvature), 0.0 * x + 1.0)

    def entry_parameter_columns(self, x: Array, y: Array, step: Any) -> dict[str, tuple[Array, Array]]:
        xp = arrays.namespace(x)
        p, s = self.entry_prox(x, y, step)
        outside = self.outside(x, y) & (p != 0)
        size = xp.where(outside, xp.abs(p), xp.ones_like(x))
        log = xp.log(size)
        slope, _ = self.normal(x, y, p, s)
        in_slope = xp.sign(p) * size ** (self.p - 1.0) * (1.0 + self.p * log)
        in_value = size**self.p * log
        share, _, _ = self.entry_prox_derivative(x, y, p, s, step)
        move = xp.where(outside, -share * ((s - y) * in_slope + slope * in_value), 0.0 * x)
        return {"p": (move, xp.where(outside, slope * move + in_value, 0.0 * x))}

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|^{self.p:g} <= t)"

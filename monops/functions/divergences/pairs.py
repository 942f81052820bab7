"""What functions of pairs (x, y) share: the 2 x 2 derivative of their prox, entry by entry, and three scalar equations.

A pair is `Blocks((x, y))`. Perspectives and projections on epigraphs are two sides of one equation (Moreau 1965): the conjugate
of (x, y) -> y phi(x/y) is the indicator of {(u, v) : phi*(u) + v <= 0}, an epigraph with the sign of v exchanged.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.constants import Known
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.roots import increasing_root
from monops.functions.separable import BLOCK
from monops.linear import BroadcastMap, LinearMap, Stack
from monops.linear.jacobian import NONEXPANSIVE, SelfAdjointMap

PLAIN_STEPS = 7  # of Newton in `root`: enough for nearly every pair of an ordinary size


@final
@dataclass(frozen=True, eq=False)
class PairwiseMap(LinearMap):
    """(h, k) -> (a h + b k, b h + c k), entry by entry: the derivative of a prox that couples x_i with y_i.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> PairwiseMap(0.5 * one, -0.5 * one, 0.5 * one).apply(Blocks((one, 3.0 * one)))
    Blocks(array([-1.]), array([1.]))
    """

    a: Array
    b: Array
    c: Array

    @property
    def input_shape(self) -> Any:
        shape = tuple(int(n) for n in self.a.shape)
        return shape, shape

    @property
    def output_shape(self) -> Any:
        return self.input_shape

    def apply(self, x: Array) -> Array:
        return Blocks((self.a * x[0] + self.b * x[1], self.b * x[0] + self.c * x[1]))

    def adjoint(self, y: Array) -> Array:
        return self.apply(y)

    @cached_property
    def norm(self) -> Known:
        return NONEXPANSIVE


def split_pair(owner: Function, point: Array, same_shape: bool = True) -> tuple[Array, Array]:
    """The two arrays of a pair, or ShapeError."""
    if not isinstance(point, tuple) or len(point) != 2:
        raise ShapeError(f"{type(owner).__name__} is a function of pairs: pass Blocks((x, y)), two arrays")
    x, y = point
    arrays.namespace(x)
    if same_shape and tuple(x.shape) != tuple(y.shape):
        raise ShapeError(
            f"{type(owner).__name__} pairs entries: x has shape {tuple(x.shape)} and y {tuple(y.shape)}; broadcast one of them"
        )
    if not same_shape and math.prod(y.shape) != math.prod(x.shape[: owner.batch_ndim]):
        raise ShapeError(
            f"{type(owner).__name__} takes one number a row beside x of shape {tuple(x.shape)}: pass it with shape "
            f"{(*x.shape[: owner.batch_ndim], 1)}, got {tuple(y.shape)}"
        )
    return x, y


def keep_nan(point: Array, *sources: Array) -> Array:
    """``point``, with NaN wherever one of the sources is NaN: root finding compares, and comparing forgets NaN."""
    xp = arrays.namespace(point)
    total = sources[0]
    for other in sources[1:]:
        total = total + other
    return xp.where(xp.isnan(total), total, point)


@dataclass(frozen=True, eq=False)
class Pairwise(Function):
    """f(x, y) = sum over entries of psi(x_i, y_i).

    A subclass gives, elementwise, ``entry_value(x, y)`` (infinite outside the domain), ``entry_prox(x, y, step)`` and
    ``entry_prox_derivative(x, y, p, q, step)``, the entries (a, b, c) of the symmetric 2 x 2 derivative at the prox (p, q);
    and ``entry_parameter_columns``, the derivative of (p, q) in each differentiable data field.
    """

    def entry_value(self, x: Array, y: Array) -> Array:
        """Psi of every pair."""
        raise NotImplementedError

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        """The prox of every pair; may loop."""
        raise NotImplementedError

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        """Entries (a, b, c) of the derivative of the prox (p, q) of every pair."""
        raise NotImplementedError

    def entry_parameter_columns(self, x: Array, y: Array, step: Any) -> dict[str, tuple[Array, Array]]:
        """For each differentiable data field, the derivative of the prox (p, q) in it."""
        return {}

    def __call__(self, x: Array) -> Array:
        return arrays.row_sum(self.entry_value(*split_pair(self, x)), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        split_pair(self, x)
        first, second = autodiff.detach(x)
        return self.with_derivative(x, step, Blocks(self.detached()._prox_in_blocks(first, second, autodiff.detach(step))))

    def _prox_in_blocks(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        """The prox with NaN kept; on NumPy long arrays in blocks that stay in the cache: about twice as fast."""
        if type(x) is not np.ndarray or type(y) is not np.ndarray or x.size <= BLOCK or np.ndim(step) or not self._is_uniform:
            p, q = self.entry_prox(x, y, step)
            return keep_nan(p, x, y), keep_nan(q, x, y)
        first, second, p, q = x.reshape(-1), y.reshape(-1), np.empty(x.size, x.dtype), np.empty(x.size, x.dtype)
        for start in range(0, x.size, BLOCK):
            part = slice(start, start + BLOCK)
            u, v = self.entry_prox(first[part], second[part], step)
            p[part], q[part] = keep_nan(u, first[part], second[part]), keep_nan(v, first[part], second[part])
        return p.reshape(x.shape), q.reshape(x.shape)

    @property
    def _is_uniform(self) -> bool:
        """Whether every pair has the same psi: all data are numbers, or functions of pairs with numbers."""
        fields = [getattr(self, entry.name) for entry in dataclasses.fields(self)]
        return all(isinstance(v, (int, float)) or (isinstance(v, Pairwise) and v._is_uniform) for v in fields)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        p, q = self.prox(x, step)
        return PairwiseMap(*self.entry_prox_derivative(x[0], x[1], p, q, step))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        columns = self.entry_parameter_columns(x[0], x[1], step)
        return {name: Stack((BroadcastMap(u, ()), BroadcastMap(v, ()))) for name, (u, v) in columns.items()}


def rank_one_derivative(first: Array, second: Array, strength: Array) -> tuple[Array, Array, Array]:
    """Entries of I - M/(1 + M) n n^T, n the direction of (second, -first) and M = ``strength`` >= 0, possibly infinite.

    (I + step H)^-1 for a positively homogeneous psi, whose Hessian H at (x, y) has one curved direction, (y, -x). No term is a
    difference of nearly equal numbers.
    """
    xp = arrays.namespace(first)
    big = strength > 1.0
    inverse = 1.0 / xp.where(big, strength, xp.ones_like(strength))
    small = xp.where(big, xp.zeros_like(strength), strength)
    stays = xp.where(big, inverse / (1.0 + inverse), 1.0 / (1.0 + small))  # 1/(1 + M)
    goes = xp.where(big, 1.0 / (1.0 + inverse), small / (1.0 + small))  # M/(1 + M)
    length = xp.hypot(first, second)
    length = xp.where(length > 0, length, xp.ones_like(length))
    u, v = first / length, second / length
    return stays + goes * u * u, goes * u * v, stays + goes * v * v


def graph_derivative(slope: Array, inner: Array, outside: Array) -> tuple[Array, Array, Array]:
    """Derivative of the projection on {phi(x) <= t} where phi' = ``slope`` at its result; the identity where not ``outside``.

    With J = ``inner``, the derivative of prox_{lambda phi} for the multiplier lambda, and D = 1 + J phi'^2: (J/D, J phi'/D,
    J phi'^2/D).
    """
    xp = arrays.namespace(slope)
    half = xp.sqrt(inner)
    m = half * slope
    big = xp.abs(m) > 1.0
    low, high = xp.where(big, xp.ones_like(m), m), 1.0 / xp.where(big, m, xp.ones_like(m))
    share = xp.where(big, 1.0 / (1.0 + high * high), low * low / (1.0 + low * low))  # m^2/(1 + m^2)
    mixed = half * xp.where(big, high / (1.0 + high * high), low / (1.0 + low * low))
    rest = inner * xp.where(big, high * high / (1.0 + high * high), 1.0 / (1.0 + low * low))
    one = xp.ones_like(m)
    return xp.where(outside, rest, one), xp.where(outside, mixed, 0.0 * one), xp.where(outside, share, one)


def whole_rows(function: Any, shape: tuple[Any, ...]) -> LinearMap:
    """A self-adjoint map on pairs (x, one number a row)."""
    return SelfAdjointMap(function, shape)


# ---- scalar equations --------------------------------------------------------------------------------


def root(function: Callable[[Array], tuple[Array, Array, Array]], lower: Array, upper: Array, start: Array) -> Array:
    """`increasing_root` of t -> (value, slope), which ends an entry when its value is rounding, and polishes it by a last step.

    ``function`` returns the size of the terms of the value besides. Near a root at 0 the rounding of the terms exceeds two
    units in the last place of t, and Newton's method would jump about in the bracket. Steps without safeguards come first:
    mostly they are enough, and the bracket is not needed.
    """
    xp = arrays.namespace(start)
    tolerance = 4.0 * arrays.epsilon(start)

    def polished(t: Array) -> tuple[Array, Array]:  # and whether the value is rounding
        value, slope, terms = function(t)
        newton = t - value / slope
        near = xp.abs(newton - t) <= tolerance**0.5 * (1.0 + xp.abs(t))
        settled = xp.abs(value) <= tolerance * terms
        return xp.where(settled & near & (newton >= lower) & (newton <= upper), newton, t), settled

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        t = start
        for _ in range(PLAIN_STEPS):
            value, slope, _ = function(t)
            t = xp.minimum(xp.maximum(t - value / slope, lower), upper)
        result, found = polished(t)
        if arrays.holds_everywhere(found):
            return result

    def settled(t: Array) -> tuple[Array, Array]:
        value, slope, terms = function(t)
        return xp.where(xp.abs(value) <= tolerance * terms, xp.zeros_like(value), value), slope

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return polished(increasing_root(settled, lower, upper, xp.where(xp.isnan(t), start, t)))[0]


def widened(lower: Array, upper: Array) -> tuple[Array, Array]:
    """A bracket three times as wide: a first Newton step across more than half of the bracket is then no cause to bisect."""
    width = upper - lower
    return lower - width, upper + width


def exponential_root(x: Array, t: Array) -> Array:
    """The zero q of q - x + exp(q) (exp(q) - t), where exp(x) > t: the projection on {exp(x) <= t}.

    Newton from the right, where the equation is convex, in a bracket that is logarithmic in the data.
    """
    xp = arrays.namespace(x)
    one = xp.ones_like(x)
    positive = xp.where(x > 0, x, 0.0 * x)
    length = xp.hypot(t, 2.0 * xp.sqrt(positive))
    rise = length - t
    above = xp.where(t > 0, 0.5 * t + 0.5 * length, 2.0 * positive / xp.where(rise > 0, rise, one))
    limit = xp.log(xp.where(above > 1.0, above, one))
    upper = xp.where(limit < x, limit, x)
    lower = xp.where(t > 0, xp.log(xp.where(t > 0, t, one)), xp.where(x < 0, x, 0.0 * x) - 1.0 - xp.log1p(xp.abs(t)))
    lower = xp.where(lower < upper, lower, upper)

    def equation(q: Array) -> tuple[Array, Array, Array]:  # divided by exp(2q) where q > 0
        high = xp.where(q > 0, q, 0.0 * q)
        one_power, two_powers, weight = xp.exp(q - 2.0 * high), xp.exp(2.0 * (q - high)), xp.exp(-2.0 * high)
        value = (q - x) * weight + two_powers - t * one_power
        terms = (xp.abs(q) + xp.abs(x)) * weight + two_powers + xp.abs(t) * one_power
        return value, weight + 2.0 * two_powers - t * one_power, terms

    return root(equation, *widened(lower, upper), upper)


def log_or_minus_infinity(t: Array) -> Array:
    """log t; -infinity for t <= 0."""
    xp = arrays.namespace(t)
    return xp.where(t > 0, xp.log(xp.where(t > 0, t, xp.ones_like(t))), xp.zeros_like(t) - math.inf)


def project_on_exponential(x: Array, t: Array) -> tuple[Array, Array]:
    """The projection on {exp(x) <= t}, entry by entry."""
    xp = arrays.namespace(x)
    outside = x > log_or_minus_infinity(t)
    q = exponential_root(xp.where(outside, x, xp.ones_like(x)), xp.where(outside, t, xp.zeros_like(t)))
    above = (t > 0) & (q > 0)  # where this form rounds less
    s = xp.where(above, t + (x - q) * xp.exp(-xp.where(above, q, 0.0 * q)), xp.exp(q))
    return xp.where(outside, q, x), xp.where(outside, s, t)


def quadratic_multiplier(size: Array, y: Array, gamma: Any) -> Array:
    """The root eta >= 0 of eta = y + gamma size^2/(2 (eta + gamma)^2); 0 where y + size^2/(2 gamma) <= 0.

    It is the new y in the prox of |x|^2/(2y), and the multiplier of the projection on {|x|^2/(2 gamma) <= -y}.
    """
    xp = arrays.namespace(size)
    zero = 0.0 * size
    lower = xp.where(y > 0, y, zero)
    at_zero = 0.5 * size * (size / gamma)
    cubic = (0.5 * gamma) ** (1.0 / 3.0) * size ** (2.0 / 3.0)
    depth = xp.where(y < 0, -y, xp.ones_like(y))
    square = size * (0.5 * gamma / depth) ** 0.5 - gamma
    reach = xp.where(cubic < at_zero, cubic, at_zero)
    reach = xp.where((y < 0) & (square < reach), square, reach)
    upper = lower + xp.where(reach > 0, reach, zero)

    def equation(eta: Array) -> tuple[Array, Array, Array]:
        ratio = size / (eta + gamma)
        pull = 0.5 * gamma * ratio * ratio
        return eta - y - pull, 1.0 + 2.0 * pull / (eta + gamma), eta + xp.abs(y) + pull

    eta = root(equation, lower, widened(lower, upper)[1], upper)
    return xp.where(y + at_zero > 0, eta, zero)


def power_root(first: tuple[Array, float], second: tuple[Array, float], third: tuple[Array, float], negative: Array) -> Array:
    """The zero u of exp(l1 + s1 u) + exp(l2 + s2 u) +- exp(l3 + s3 u) - 1, the last sign minus where ``negative``.

    Each argument is a pair (l, s), s > 0, and s2 > s3. Where the last term is negative the first must be below 1 at the point
    where the other two cancel, and powers s2, s2 - s3 such that (p + r)^(s2 - s3) >= p^(s2 - s3) + r^(s2 - s3).
    """
    (l1, s1), (l2, s2), (l3, s3) = first, second, third
    xp = arrays.namespace(l1)
    ends = [-l1 / s1, -l2 / s2, -l3 / s3]
    crossing = (l3 - l2) / (s2 - s3)
    upper = xp.where(negative, xp.logaddexp(crossing, ends[1]), xp.minimum(ends[1], ends[2]))
    upper = xp.minimum(upper, ends[0])
    thirds = [end - math.log(3.0) / s for end, s in zip(ends, (s1, s2, s3), strict=True)]
    lower = xp.where(negative, crossing, xp.minimum(thirds[0], xp.minimum(thirds[1], thirds[2])))
    lower = xp.minimum(lower, upper)
    sign = xp.where(negative, -xp.ones_like(l1), xp.ones_like(l1))

    size = xp.maximum(xp.abs(l1), xp.abs(l2))

    def equation(u: Array) -> tuple[Array, Array, Array]:  # divided by the largest term
        exponents = [l1 + s1 * u, l2 + s2 * u, l3 + s3 * u]
        largest = xp.maximum(exponents[0], xp.maximum(exponents[1], exponents[2]))
        largest = xp.where(largest > 0, largest, 0.0 * largest)
        a, b, c = (xp.exp(exponent - largest) for exponent in exponents)
        d = xp.exp(-largest)
        terms = (a + b + c + d) * (1.0 + size + (s1 + s2 + s3) * xp.abs(u))
        return a + b + sign * c - d, s1 * a + s2 * b + s3 * sign * c, terms

    return root(equation, *widened(lower, upper), upper)


def waterline(y: Array, t: Array) -> tuple[Array, Array]:
    """The root s of s - t = sum_i max(y_i - s, 0) over the last axis, and the mask {y_i > s}; t and s keep that axis.

    Sorting finds the mask, and (t + sum of the masked y)/(1 + their number) is s. An empty mask gives s = t.
    """
    xp = arrays.namespace(y)
    still, level = autodiff.detach(y), autodiff.detach(t)
    descending = xp.sort(still, axis=-1, descending=True)
    counts = xp.arange(1, y.shape[-1] + 1, dtype=y.dtype, device=arrays.device(y))
    candidates = (level + xp.cumulative_sum(descending, axis=-1)) / (1.0 + counts)
    best = xp.max(xp.where(candidates > level, candidates, level + 0.0 * candidates), axis=-1, keepdims=True)
    mask = xp.astype(still > best, y.dtype)
    return (t + xp.sum(mask * y, axis=-1, keepdims=True)) / (1.0 + xp.sum(mask, axis=-1, keepdims=True)), mask

"""Scalar equations behind the proxes of entropies, barriers, powers and likelihoods: vectorised, without overflow.

Each solves for its unknown in the variable in which the equation is nearly linear (often a logarithm), from a start that is
good everywhere, with a fixed small number of steps: no array value decides the flow. Parameters are floats or arrays that
broadcast against the first argument.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.feasibility import as_text, holds_somewhere
from monops.functions.separable import BLOCK, Separable

DEEP = -50.0  # below it, exp(z) is omega(z) to machine precision
FAR = 1e18  # above it, z is


def check_positive(owner: str, parameters: Mapping[str, Any]) -> None:
    """Raise DataError unless every parameter is finite and > 0 (a number, or an array entry by entry)."""
    for name, value in parameters.items():
        if not (arrays.is_array(value) or isinstance(value, (int, float))) or holds_somewhere(
            (value <= 0) | (value == math.inf) | (value != value)
        ):
            raise DataError(f"{owner}: {name}={value!r} must be finite and > 0")


def check_nonnegative(owner: str, name: str, value: Any) -> None:
    """Raise DataError unless a parameter is finite and >= 0 (a number, or an array entry by entry)."""
    if not (arrays.is_array(value) or isinstance(value, (int, float))) or holds_somewhere(
        (value < 0) | (value == math.inf) | (value != value)
    ):
        raise DataError(f"{owner}: {name}={value!r} must be finite and >= 0")


def check_finite_number(owner: str, name: str, value: Any) -> None:
    """Raise DataError unless a parameter is finite (a number, or an array entry by entry)."""
    if holds_somewhere((value != value) | (abs(value) == math.inf)):
        raise DataError(f"{owner}: {name}={value!r} must be finite")


def largest(weight: Any) -> float:
    """The largest entry of a number or array, as a float."""
    return float(arrays.namespace(weight).max(weight)) if arrays.is_array(weight) else float(weight)


def times(weight: Any, text: str) -> str:
    """A formula with its weight in front, if it is not 1."""
    return text if not arrays.is_array(weight) and weight == 1 else f"{as_text(weight)} {text}"


def check_weight(owner: str, weight: Any) -> None:
    """Raise DataError unless a weight is finite and at least 0."""
    check_nonnegative(owner, "weight", weight)


def log(value: Any) -> Any:
    """Logarithm of a positive number or array; -inf at 0."""
    if not arrays.is_array(value):
        return math.log(value) if value > 0 else -math.inf
    with np.errstate(divide="ignore"):
        return arrays.namespace(value).log(value)


def exponential(value: Any) -> Any:
    """Exponential of a number or array; infinite, without a warning, where it overflows."""
    if not arrays.is_array(value):
        return math.exp(value)
    with np.errstate(over="ignore", under="ignore"):
        return arrays.namespace(value).exp(value)


def x_log_x(x: Array) -> Array:
    """x log(x) for x >= 0, with 0 log 0 = 0; infinite for x < 0."""
    xp = arrays.namespace(x)
    positive = x > 0
    value = x * xp.log(xp.where(positive, x, xp.ones_like(x)))
    return xp.where(x < 0, value + math.inf, value)


def log_inside(x: Array) -> Array:
    """log(x) for x > 0, -infinity for x <= 0, without a warning."""
    xp = arrays.namespace(x)
    return xp.where(x <= 0, 0.0 * x - math.inf, xp.log(xp.where(x <= 0, xp.ones_like(x), x)))


def inverse_inside(x: Array, power: float = 1.0) -> Array:
    """x^-power for x > 0, infinity for x <= 0, without a warning."""
    xp = arrays.namespace(x)
    with np.errstate(over="ignore", under="ignore"):
        value = xp.where(x <= 0, xp.ones_like(x), x) ** (-power)
    return xp.where(x <= 0, xp.zeros_like(x) + math.inf, value)


@dataclass(frozen=True, eq=False)
class Smooth(Separable):
    """A separable function that is twice differentiable inside its interval, with a prox from one of these equations.

    The derivative of the prox is 1/(1 + step phi''(p)), with phi'' = infinity for 0 at the end of an interval, and it is
    attached to the prox, not recorded through it. Subclasses give ``entry_slope``, ``entry_curvature`` and ``entry_prox``.
    """

    @property
    def solves_for_prox(self) -> bool:
        return True

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        with np.errstate(all="ignore"):
            return 1.0 / (1.0 + step * self.entry_curvature(p))


def square_root(value: Any) -> Any:
    """Square root of a number or array."""
    return arrays.namespace(value).sqrt(value) if arrays.is_array(value) else math.sqrt(value)


def softplus(z: Array) -> Array:
    """log(1 + exp(z)) without overflow."""
    xp = arrays.namespace(z)
    return xp.log1p(xp.exp(-xp.abs(z))) + arrays.clip(z, 0.0, None)


def in_blocks(solve: Callable[..., Array]) -> Callable[..., Array]:
    """The same elementwise function, on NumPy in blocks that stay in the cache: about twice as fast on long arrays."""

    @functools.wraps(solve)
    def blocked(x: Array, *parameters: Any) -> Array:
        if not isinstance(x, np.ndarray) or x.size <= 2 * BLOCK:
            return solve(x, *parameters)
        flat = x.reshape(-1)
        spread = [np.broadcast_to(value, x.shape).reshape(-1) if np.ndim(value) else value for value in parameters]
        result = np.empty_like(flat)
        for start in range(0, flat.size, BLOCK):
            part = slice(start, start + BLOCK)
            result[part] = solve(flat[part], *(value[part] if np.ndim(value) else value for value in spread))
        return result.reshape(x.shape)

    return blocked


def omega_estimate(z: Array) -> Array:
    """omega(z) within 2 %, uniformly (Winitzki 2003)."""
    s = softplus(z)
    return s * (1.0 - arrays.namespace(z).log1p(s) / (2.0 + s))


@in_blocks
def wright_omega(z: Array) -> Array:
    """The w > 0 with w + log(w) = z (Corless and Jeffrey 2002): W(exp(z)), W the Lambert function.

    Two steps of fourth order (Fritsch, Shafer and Crowley 1973) from an estimate within 2 %; no overflow for any z.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(wright_omega(np.array([-1e9, 1.0, 1e9])), 3)
    array([0.00000000e+00, 1.00000000e+00, 9.99999979e+08])
    """
    xp = arrays.namespace(z)
    with np.errstate(all="ignore"):
        core = arrays.clip(z, DEEP, FAR)
        w = omega_estimate(core)
        for _ in range(2):
            r, q = core - w - xp.log(w), 1.0 + w
            t = 2.0 * q * (q + (2.0 / 3.0) * r)
            w = w * (1.0 + r / q * (t - r) / (t - 2.0 * r))
        return xp.where(z < DEEP, xp.exp(arrays.clip(z, None, 0.0)), xp.where(z > FAR, z, w))


@in_blocks
def entropic_root(x: Array, step: Any, log_scale: Any) -> Array:
    """The p > 0 with p + step (log(p) - log_scale) = x."""
    xp = arrays.namespace(x)
    with np.errstate(all="ignore"):
        shifted = x + step * log_scale
        z = arrays.clip(x / step + (log_scale - log(step)), None, 1e30)
        omega = wright_omega(z)
        # for large z, z - log(omega) has the digits that step * omega has lost with z
        return xp.where(z > 1.0, shifted - step * (xp.log(omega) + log(step)), step * omega)


@in_blocks
def exponential_root(x: Array, log_weight: Any) -> Array:
    """The p with p + exp(p + log_weight) = x."""
    xp = arrays.namespace(x)
    with np.errstate(all="ignore"):
        z = x + log_weight
        omega = wright_omega(z)
        return xp.where(z > 1.0, xp.log(omega) - log_weight, x - omega)


@in_blocks
def logistic_root(v: Array, step: Any) -> Array:
    """The u >= 0 with u - step/(1 + exp(u)) = v, for v >= -step/2 (the reflection v -> -step - v negates u).

    Halley's method, three steps from an estimate within log 2: 1/(1 + exp(u)) is nearly exp(-u), and the equation with
    exp(-u) is Wright's.
    """
    xp = arrays.namespace(v)
    log_step = log(step)
    with np.errstate(all="ignore"):
        y = omega_estimate(log_step - v)
        u = xp.where(y > 1.0, log_step - xp.log(y), v + y)
        for _ in range(3):
            s = 1.0 / (1.0 + xp.exp(u))
            curve = step * s * (1.0 - s)
            slope = 1.0 + curve
            move = (u - v - step * s) / slope
            u = u - move / (1.0 + 0.5 * move * curve * (1.0 - 2.0 * s) / slope)
        return xp.where(v > 1e30, v, u)


@in_blocks
def reciprocal_root(x: Array, c: Any, a: Any = 1.0) -> Array:
    """The p >= 0 with a p - c/p = x, c >= 0 and a > 0: the larger root of a p^2 - x p - c, without cancellation.

    It is max(x, 0)/a + 2c/(|x| + sqrt(x^2 + 4ac)): on NumPy eight passes, unless a square overflows, or c and x are 0.
    """
    if type(x) is np.ndarray and x.ndim > 0 and _like(c, x) and _like(a, x):
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                return _plain_reciprocal_root(x, c, a)
        except FloatingPointError:
            pass
    xp = arrays.namespace(x)
    size = xp.abs(x)
    small = arrays.clip(size, None, float(xp.finfo(x.dtype).max) ** 0.49)  # its square is finite; c is nothing beside a larger
    root = xp.sqrt(small * small + 4.0 * a * c)
    half = 0.5 * (size + xp.where(root < size, size, root))
    return xp.where(x >= 0, half / a, c / (half + float(xp.finfo(x.dtype).smallest_normal)))


def _like(value: Any, x: Array) -> bool:
    """Whether a parameter is a number, or an array as x is."""
    return isinstance(value, (int, float)) or (type(value) is np.ndarray and value.shape == x.shape and value.dtype == x.dtype)


def _plain_reciprocal_root(x: Array, c: Any, a: Any) -> Array:
    """`reciprocal_root` on NumPy in the memory of two arrays."""
    p, size = np.multiply(x, x), np.abs(x)
    np.add(p, 4.0 * a * c, out=p)
    np.sqrt(p, out=p)
    np.add(p, size, out=p)
    np.divide(2.0 * c, p, out=p)
    np.maximum(x, 0.0, out=size)
    if type(a) is np.ndarray or a != 1:
        np.divide(size, a, out=size)
    return np.add(p, size, out=p)


@in_blocks
def two_sided_root(x: Array, c: Any, d: Any) -> Array:
    """The p in [0, 1] with p - c/p + d/(1 - p) = x, c, d >= 0 (p is clipped where c or d is 0).

    On the half of [0, 1] that holds p, the other barrier is smooth: it is linearised at the last iterate, the rest is
    solved as it is. The iterates decrease to p from the first step on, quadratically.
    """
    xp = arrays.namespace(x)
    with np.errstate(all="ignore"):
        mirrored = 0.5 - 2.0 * c + 2.0 * d - x < 0  # p > 1/2: solve for 1 - p
        x = xp.where(mirrored, 1.0 - x, x)
        near = xp.where(mirrored, d + xp.zeros_like(x), c + xp.zeros_like(x))
        away = xp.where(mirrored, c + xp.zeros_like(x), d + xp.zeros_like(x))
        p = arrays.clip(reciprocal_root(x - away, near, 1.0 + away), 0.0, 0.5)
        for _ in range(4):
            rest = 1.0 / (1.0 - p)
            tilt = away * rest * rest
            p = arrays.clip(reciprocal_root(x - away * rest + tilt * p, near, 1.0 + tilt), 0.0, 0.5)
        return xp.where(mirrored, 1.0 - p, p)


@in_blocks
def inverse_power_root(x: Array, c: Any, k: float) -> Array:
    """The p > 0 with p - c p^-k = x, c > 0 and k > 0.

    In v = log(p/|x|) for x < 0 and v = log((p - x)/x) for x > 0 the equation is alpha log(1 + exp(v)) + beta v = d: convex,
    increasing, nearly linear. Newton steps from the right of the root, and one in p for the last digits.
    """
    xp = arrays.namespace(x)
    with np.errstate(all="ignore"):
        size = arrays.clip(xp.abs(x), float(xp.finfo(x.dtype).smallest_normal), None)
        positive, one = x > 0, xp.ones_like(x)
        alpha, beta = xp.where(positive, k * one, one), xp.where(positive, one, k * one)
        d = log(c) - (k + 1.0) * xp.log(size)
        small, large = d / beta, d / (alpha + beta)
        v = xp.where(small < large, small, large)
        for _ in range(4 if k >= 0.25 else 10):
            s = 1.0 / (1.0 + xp.exp(-v))
            v = v - (alpha * softplus(v) + beta * v - d) / (alpha * s + beta)
        grown = xp.exp(v + xp.log(size))
        p = xp.where(positive, x + grown, grown)
        ratio = (c + 0.0 * p) * p ** (-k) / p
        better = p - p * (1.0 - ratio - x / p) / (1.0 + k * ratio)
        return xp.where(xp.isfinite(better) & (better > 0), better, p)


@in_blocks
def power_root(a: Array, s: Any, k: float) -> Array:
    """The t >= 0 with t + s t^k = a, for a >= 0, s > 0, k > 0; closed for k = 1/3, 1/2, 1, 2, 3.

    Otherwise log(t + s t^k) = log(a) in the variable log(t): convex, with a slope between 1 and k. Newton from the right.
    """
    xp = arrays.namespace(a)
    with np.errstate(all="ignore"):
        if k == 1.0:
            return a / (1.0 + s)
        if k == 2.0:
            return 2.0 * a / (1.0 + xp.sqrt(1.0 + 4.0 * s * a))
        if k == 0.5:
            half = 0.5 * s
            root = a / (half + xp.hypot(xp.sqrt(a), half + xp.zeros_like(a)))
            return root * root
        if k == 3.0:
            return _cubic_root(a / s, 1.0 / s)
        if abs(k - 1.0 / 3.0) < 1e-15:
            return _cubic_root(a, s) ** 3
        log_a, log_s = xp.log(arrays.clip(a, float(xp.finfo(a.dtype).smallest_normal), None)), log(s)
        alone = (log_a - log_s) / k
        u = xp.where(log_a < alone, log_a, alone)
        for _ in range(6):
            w = log_s + (k - 1.0) * u
            u = u - (u + softplus(w) - log_a) / (1.0 + (k - 1.0) / (1.0 + xp.exp(-w)))
        t = xp.exp(u)
        ratio = s * t ** (k - 1.0)
        better = t - (t * (1.0 + ratio) - a) / (1.0 + k * ratio)
        return xp.where(xp.isfinite(better) & (better >= 0) & (a > 0), better, xp.where(a > 0, t, a))


def _cubic_root(d: Array, c: Any) -> Array:
    """The real r with r^3 + c r = d, c > 0, d >= 0: by the hyperbolic sine of a third (Holmes 2002), without cancellation."""
    xp = arrays.namespace(d)
    scale = square_root(c / 3.0)
    return 2.0 * scale * xp.sinh(xp.asinh(1.5 * (d / c) / scale) / 3.0)


@in_blocks
def hypotenuse_root(a: Array, s: Any) -> Array:
    """The t >= 0 with t + s t/sqrt(1 + t^2) = a, for a >= 0, s > 0.

    Halley's method, three steps from the least of two estimates: the root with 1 + t in the place of sqrt(1 + t^2), and the
    asymptote for large t.
    """
    xp = arrays.namespace(a)
    with np.errstate(all="ignore"):
        v = a - s
        cube = exponential(log(0.5 * s) / 3.0)
        size = xp.abs(v) + cube
        far = xp.where(v < 0, xp.sqrt(0.5 * s / size), xp.abs(v) + 0.5 * s / size / size)
        near = reciprocal_root(v - 1.0, a)
        t = xp.where(near < far, near, far)
        least = a / (1.0 + s)
        t = xp.where(t < least, least, t)
        t = xp.where(t < v, v, t)
        for _ in range(3):
            q = 1.0 / (1.0 + t * t)
            r = xp.sqrt(q)
            slope = 1.0 + s * r * q
            value = xp.where(t < 1.0, t - a + s * t * r, t - v - s * q / (1.0 + t * r))
            move = value / slope
            t = t - move / (1.0 + 1.5 * move * s * t * r * q * q / slope)
        return t

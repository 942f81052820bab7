"""Scaled relative graphs (Ryu, Hannah and Yin 2022): constants of an operator as a region of the complex plane.

Two points of the graph, u in Ax and v in Ay, give the numbers z with |z| = |u - v|/|x - y| and arg z = +- the angle between
u - v and x - y. In r = Re z = <u - v, x - y>/|x - y|^2 and s = |z|^2 = |u - v|^2/|x - y|^2 every class of operators here is
given by *linear* inequalities,

    r >= mu,    s <= L^2,    beta s <= r,    for subdifferentials s <= (mu + L) r - mu L,

beside s >= r^2, and so are the squared factors of forward steps and Cayley operators, linear and linear-fractional:

    |1 - az|^2 = 1 - 2ar + a^2 s,    |(1 - az)/(1 + az)|^2 = (1 - 2ar + a^2 s)/(1 + 2ar + a^2 s).

Their suprema over a region are therefore attained at its `corners`, which are rational in the constants: fractions stay exact.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monops.constants import Constants
from monops.errors import NotApplicableError

Number = Any  # float or Fraction
ComplexArray = NDArray[np.complex128]


class Line(NamedTuple):
    """The inequality s <= slope r + offset; ``right`` is the largest real z that it allows."""

    slope: Number
    offset: Number
    right: Number


class Corner(NamedTuple):
    """Re z and |z|^2 of a corner z of a region and of its mirror image."""

    real: Number
    square: Number


def least_real(constants: Constants) -> Number:
    """The left end mu of the region; NotApplicableError where the operator is not known to be monotone."""
    if not constants.monotone:
        raise NotApplicableError(
            "the scaled relative graph here is that of a monotone operator: declare strong_monotonicity >= 0"
        )
    return constants.strong_monotonicity


def lines(constants: Constants) -> tuple[Line, ...]:
    """Upper bounds of |z|^2 that the constants give; none for an operator that is strongly monotone only."""
    mu, beta, lipschitz = least_real(constants), constants.cocoercivity, constants.lipschitz
    found = []
    if lipschitz is not None and lipschitz != math.inf:
        if constants.cyclic:
            found.append(Line(mu + lipschitz, -mu * lipschitz, lipschitz))
        else:
            found.append(Line(0, lipschitz**2, lipschitz))
    if beta is not None and beta > 0:
        inverse = 0 if beta == math.inf else 1 / beta
        found.append(Line(inverse, 0, inverse))
    return tuple(found)


def highest(bounds: tuple[Line, ...], real: Number) -> Number:
    """The largest |z|^2 in the region at this real part."""
    return min(line.slope * real + line.offset for line in bounds)


def corners(constants: Constants) -> tuple[Corner, ...]:
    """Corners of a bounded region, from left to right: on the line Re z = mu, where two circles meet, on the real axis."""
    bounds, left = lines(constants), least_real(constants)
    if not bounds:
        raise NotApplicableError("an operator with neither a Lipschitz constant nor a cocoercivity has an unbounded region")
    right = min(line.right for line in bounds)
    reals = {left, right}
    for one in bounds:
        for other in bounds:
            if one.slope != other.slope:
                crossing = (other.offset - one.offset) / (one.slope - other.slope)
                reals |= {crossing} if left < crossing < right else set()
    return tuple(Corner(real, highest(bounds, real)) for real in sorted(reals))


def forward_factor(corner: Corner, step: Number) -> Number:
    """|1 - step z|^2."""
    return 1 - 2 * step * corner.real + step**2 * corner.square


def cayley_factor(corner: Corner, step: Number) -> Number:
    """|(1 - step z)/(1 + step z)|^2."""
    return forward_factor(corner, step) / forward_factor(corner, -step)


def largest_forward(constants: Constants, step: Number) -> Number:
    """Supremum of |1 - step z|^2 over the region: the squared Lipschitz constant of I - step A over the class."""
    return max(forward_factor(corner, step) for corner in corners(constants)) if lines(constants) else math.inf


def largest_cayley(constants: Constants, step: Number) -> Number:
    """Supremum of |(1 - step z)/(1 + step z)|^2 over the region: the squared Lipschitz constant of 2 J - I over the class.

    Without an upper bound of |z| it is 1, approached at infinity.
    """
    return max(cayley_factor(corner, step) for corner in corners(constants)) if lines(constants) else 1


def scaled_relative_graph(constants: Constants, points: int = 401, reach: float = 4.0) -> ComplexArray:
    """The boundary of the region as a closed curve, counterclockwise from its right end.

    Parameters
    ----------
    constants : Constants
        mu >= 0, and L, beta and ``cyclic`` where known.
    points : int
        About how many points the curve has.
    reach : float
        Radius about 0 at which an unbounded region is cut off.

    Examples
    --------
    >>> curve = scaled_relative_graph(Constants(strong_monotonicity=1.0, lipschitz=3.0, cyclic=True))
    >>> bool(abs(abs(curve - 2.0) - 1.0).max() < 1e-12)
    True
    """
    bounds = lines(constants) or (Line(0, max(reach, 2 * float(least_real(constants))) ** 2, reach),)
    left, right = float(least_real(constants)), float(min(line.right for line in bounds))
    kinks = [float(corner.real) for corner in corners(constants)] if lines(constants) else []
    angles = np.linspace(0.0, np.pi, max(points // 2, 2))
    reals = np.unique(np.concatenate([(left + right) / 2 + (right - left) / 2 * np.cos(angles), kinks]))[::-1]
    heights = np.min([float(line.slope) * reals + float(line.offset) for line in bounds], axis=0) - reals**2
    upper = reals + 1j * np.sqrt(np.maximum(heights, 0.0))
    return np.concatenate([upper, np.conj(upper[::-1]), upper[:1]])


def scaled_relative_point(image: NDArray[Any], distance: NDArray[Any]) -> complex:
    """The number z with Im z >= 0 of a pair: ``image`` = u - v, ``distance`` = x - y != 0."""
    length = float(np.vdot(distance, distance).real)
    real = float(np.vdot(distance, image).real) / length
    rest = image - real * distance
    return complex(real, math.sqrt(float(np.vdot(rest, rest).real) / length))


def outside(constants: Constants, z: complex) -> float:
    """Largest ratio of the two sides of the inequalities of the region at z: at most 1 inside, 1 on the boundary."""
    square, tiny = abs(z) ** 2, 1e-12 * max(1.0, abs(z) ** 2)
    pairs = [(float(least_real(constants)), z.real)]
    for line in lines(constants):
        slack = float(line.slope) * z.real + float(line.offset)
        shift = max(0.0, -float(line.offset))  # to the other side, so that both are nonnegative
        pairs.append((square + shift, slack + shift))
    return max(lower / (upper + tiny) if upper + tiny > 0 else math.inf for lower, upper in pairs)

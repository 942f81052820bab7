"""The one root finder of the library: zeros of increasing functions, entry by entry, to machine precision."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from monops import arrays
from monops.arrays import Array

MAXIMUM_STEPS = 120  # Newton inside a bracket that is bisected when Newton leaves it: float64 is exhausted long before


def increasing_root(function: Callable[[Array], tuple[Array, Array]], lower: Array, upper: Array, start: Array) -> Array:
    """The zero of an increasing function in [lower, upper], for every entry at once.

    Parameters
    ----------
    function : callable
        t -> (value, slope), both of the shape of t; value nondecreasing in t, slope >= 0. A NaN or infinite value or slope
        is allowed: the entry is then bisected.
    lower, upper : array
        A bracket: value(lower) <= 0 <= value(upper). Must be finite.
    start : array
        First iterate, inside the bracket; every array has the same shape, dtype and device.

    Returns
    -------
    array
        Accurate to about two units in the last place of t where the value is.

    Notes
    -----
    Newton's method, safeguarded: an iterate that leaves the bracket, or that does not halve the last step, is replaced by
    the middle of the bracket. Ends when no entry moves by more than 64 units in the last place (one host read every third
    step). **Cost** typically 5 to 10 evaluations.

    References
    ----------
    Dekker (1969) and Press et al. (2007), section 9.4, for the safeguard.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 100.0])
    >>> np.round(increasing_root(lambda t: (t * t - x, 2.0 * t), 0.0 * x, x, x), 12)
    array([ 1., 10.])
    """
    xp = arrays.namespace(start)
    tolerance = 64.0 * arrays.epsilon(start)  # a Newton step this small is the last: what is left is its square, and rounding
    tiny = float(xp.finfo(start.dtype).smallest_normal)
    low, high, t = lower, upper, start
    last = 4.0 * (high - low)  # the first Newton step may cross the bracket
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for iteration in range(MAXIMUM_STEPS):
            value, slope = function(t)
            below = value < 0
            low, high = xp.where(below, t, low), xp.where(below, high, t)
            newton = t - value / slope
            move = xp.abs(newton - t)
            settled = move <= tolerance * xp.abs(t) + tiny  # rounding decides the sign of the value here: no bisection
            good = (newton >= low) & (newton <= high) & ((move <= 0.5 * last) | settled) & (slope < math.inf)
            following = xp.where(good, newton, low + 0.5 * (high - low))
            following = xp.where(value == 0, t, following)
            last = xp.abs(following - t)
            t = following
            if iteration % 3 == 2 and arrays.holds_everywhere(
                (last <= tolerance * xp.abs(t) + tiny) | (high - low <= tolerance * xp.abs(t) + tiny)
            ):
                break
    return t

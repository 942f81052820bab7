"""Operators and inner steps whose derivative is not that of the operations that compute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from monops import arrays, autodiff
from monops.algorithms.shared.penalized_step import ByInverse, PenalizedStep
from monops.arrays import Array
from monops.functions import Box, BoxSupport, L1Norm, LInfBall


@dataclass(frozen=True, eq=False)
class Twin:
    """An operator around recorded arrays (``live``), the same one around the same arrays cut off (``still``)."""

    live: Any
    still: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.live, name)


@final
class ThroughForward(Twin):
    """An affine operator A whose resolvent p is differentiated through the equation p + step Ap = x.

    The derivative of an eigendecomposition is infinite where eigenvalues coincide; that of the resolvent is not.
    """

    def forward(self, x: Array) -> Array:
        """Ax."""
        return self.live.forward(x)

    def resolvent(self, x: Array, step: Any) -> Array:
        """J(x - step (Ap - the numbers of Ap)): p, with derivative J (dx - step dA p), J cut off from the data."""
        p = self.still.resolvent(autodiff.detach(x), autodiff.detach(step))
        image = self.live.forward(p)
        return self.still.resolvent(x - step * (image - autodiff.detach(image)), step)

    gradient = forward
    prox = resolvent


@final
class ThroughBounds(Twin):
    """A box, a weighted l1 norm, or the conjugate of one: a point beyond a bound moves with that bound.

    ``clip`` does not say so where lower = upper: torch gives both bounds the derivative 0 there, and equations are such boxes,
    a weight 0 is one.
    """

    def _bounds(self, step: Any) -> tuple[Any, Any]:
        if isinstance(self.live, (L1Norm, LInfBall)):
            size = step * self.live.weight if isinstance(self.live, L1Norm) else self.live.radius
            return -size, size
        factor = step if isinstance(self.live, BoxSupport) else 1.0
        return factor * self.live.lower, factor * self.live.upper

    def entry_prox(self, x: Array, step: Any) -> Array:
        """The prox of every entry."""
        if not arrays.namespace(x).isdtype(x.dtype, "real floating"):
            return self.live.entry_prox(x, step)
        nearest = _nearest(x, *self._bounds(step))
        return nearest if isinstance(self.live, (Box, LInfBall)) else x - nearest

    def prox(self, x: Array, step: Any = 1.0) -> Array:
        """The prox."""
        return self.entry_prox(x, step)

    resolvent = prox


BOUNDED = (Box, BoxSupport, L1Norm, LInfBall)


@final
class ThroughCorrection(Twin):
    """A step of ADMM in closed form: a correction of its own answer, with the inverse of the Hessian cut off from the data."""

    def solve(self, v: Array, step: Array, x: Array, Kx: Array) -> Array:
        """The minimiser p, corrected once by -H^-1 times the recorded gradient at p, which is 0."""
        p = self.still.solve(*(autodiff.detach(part) for part in (v, step, x, Kx)))
        return self.live.solve(v, step, p, self.live.K.apply(p))


def through_correction(live: PenalizedStep, still: PenalizedStep) -> ThroughCorrection:
    """The recorded step with the factors of the other."""
    factors = {"M": still.M} if isinstance(still, ByInverse) else {"_pencil": vars(still).get("_pencil")}
    copy = object.__new__(type(live))
    vars(copy).update({**vars(live), **{name: value for name, value in factors.items() if value is not None}})
    return ThroughCorrection(copy, still)


def _nearest(x: Array, lower: Any, upper: Any) -> Array:
    """The nearest point to x between the bounds; at a bound it moves with x."""
    xp = arrays.namespace(x)
    zero = xp.zeros_like(x)
    return xp.where(x < lower, zero + lower, xp.where(x > upper, zero + upper, x))

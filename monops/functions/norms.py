"""Norms of a vector: l1, l2, l_inf, l1 + l2, the squared l1 norm, and the cube of the l2 norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError
from monops.functions.balls import L1Ball, L2Ball, LInfBall
from monops.functions.feasibility import nonzero, row_axes, row_norm
from monops.functions.function import Function, check_step
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.simplices import row_total, sum_threshold
from monops.functions.weights import check_weight, weighted
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap, ScaledMap, SelfAdjointMap

__all__ = ["CubedL2", "L1Norm", "L1PlusL2", "L2Norm", "LInfNorm", "SquaredL1"]


class Shrinkage:
    """x max(1 - t/|x|, 0) and its derivatives, |x| Euclidean over ``axes``, without overflow or a zero to divide by."""

    def __init__(self, x: Array, size: Array, threshold: Any) -> None:
        xp = arrays.namespace(x)
        self.moving = size > threshold
        safe = xp.where(self.moving, size, xp.ones_like(size))
        self.ratio = xp.where(self.moving, threshold / safe, xp.ones_like(size))
        self.factor = 1.0 - self.ratio
        self.unit = x / xp.astype(xp.where(self.moving, safe, nonzero(size)), x.dtype)

    def derivative(self, axes: tuple[int, ...]) -> DiagonalPlusRankOne:
        """factor I + (t/|x|) u u* where |x| > t, else 0."""
        zero = 0.0 * self.ratio
        xp = arrays.namespace(self.ratio)
        return DiagonalPlusRankOne(self.factor, self.unit, xp.where(self.moving, self.ratio, zero), axes)

    def in_threshold(self) -> Array:
        """Derivative in t: -u where |x| > t."""
        xp = arrays.namespace(self.unit)
        return xp.where(self.moving, -self.unit, xp.zeros_like(self.unit))


def row_size(x: Array, batch_ndim: int) -> Array:
    """|x| of each row, its axes kept."""
    size = row_norm(x, batch_ndim)
    return arrays.namespace(size).reshape(size, (*size.shape, *(1,) * (x.ndim - batch_ndim)))


@final
@dataclass(frozen=True, eq=False)
class L1Norm(Separable):
    """f(x) = sum_i weight_i |x_i|.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: sign(x_i) max(|x_i| - step weight_i, 0), soft-thresholding; also for complex x. **Domain** everything.
    **Constants** mu = 0, not smooth; f is |weight|_2-Lipschitz. **Cost** one pass. **Derivative** of the prox: 1 where
    |x_i| > step weight_i, else 0 (0 at the kink).

    References
    ----------
    Donoho and Johnstone (1994); Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> L1Norm(2.0).prox(np.array([3.0, -1.0]), 1.0) + 0.0
    array([1., 0.])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("L1Norm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7), (5,), is_complex=True),
            Sample(lambda a: cls(a([0.25, 0.5, 1.0, 2.0, 3.0])), (5,)),
        )

    def entry_value(self, x: Array) -> Array:
        return self.weight * arrays.namespace(x).abs(x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        weight = self.weight * xp.ones_like(x)
        return xp.where(x > 0, weight, -weight), xp.where(x < 0, -weight, weight)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.soft_threshold(x, step * self.weight)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.astype(xp.abs(x) > step * self.weight, x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": arrays.namespace(p).sign(p)}

    def conjugate(self) -> Function:
        return LInfBall(self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.weight):
            return f"|w {x}|_1"
        return f"|{x}|_1" if self.weight == 1 else f"{self.weight:g} |{x}|_1"


@final
@dataclass(frozen=True, eq=False)
class L2Norm(Function):
    """f(x) = weight |x|_2 over all entries of a row (all axes behind the batch axes).

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x max(1 - step weight/|x|, 0), block soft-thresholding; also for complex x. **Domain** everything. **Constants**
    mu = 0, not smooth; f is weight-Lipschitz. **Cost** two passes. **Derivative** of the prox: with t = step weight and u =
    x/|x|, (1 - t/|x|) I + (t/|x|) u u* where |x| > t, else 0 (0 at the kink); in the weight: -step u where |x| > t.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> L2Norm().prox(np.array([3.0, 4.0]), 2.5)
    array([1.5, 2. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("L2Norm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (5,), lambda cp, y: 1.3 * cp.norm(y, 2), is_complex=True),
            Sample(lambda a: cls(0.4), (2, 3), lambda cp, y: 0.4 * cp.norm(y, "fro")),
        )

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(self.weight), "computed: the weight")

    def __call__(self, x: Array) -> Array:
        return self.weight * row_norm(x, self.batch_ndim)

    def _shrinkage(self, x: Array, step: Any) -> Shrinkage:
        return Shrinkage(x, row_size(x, self.batch_ndim), step * self.weight)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        still = arrays.detach(x)
        return self.with_derivative(x, step, still * self._shrinkage(still, arrays.detach(step)).factor)

    def conjugate(self) -> Function:
        return L2Ball(self.weight, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._shrinkage(x, step).derivative(row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"weight": BroadcastMap(step * self._shrinkage(x, step).in_threshold())}

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"|{x}|_2")


@final
@dataclass(frozen=True, eq=False)
class LInfNorm(Function):
    """f(x) = weight max |x_i| over all entries of a row.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x minus its projection on the l1 ball of radius step weight, which cuts |x_i| off at a common height; also for complex
    x. **Domain** everything. **Constants** mu = 0, not smooth; f is weight-Lipschitz. **Cost** linear: that of `L1Ball`.
    **Derivative** of the prox: the identity minus that of the projection.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24; Duchi, Shalev-Shwartz, Singer and Chandra (2008).

    Examples
    --------
    >>> import numpy as np
    >>> LInfNorm().prox(np.array([3.0, -2.5, 0.5]), 1.5)
    array([ 2. , -2. ,  0.5])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("LInfNorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (5,), lambda cp, y: 1.3 * cp.norm_inf(y), is_complex=True),
            Sample(lambda a: cls(0.1), (2, 3), lambda cp, y: 0.1 * cp.max(cp.abs(y))),
        )

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(self.weight), "computed: the weight, because |x|_inf <= |x|_2")

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return self.weight * xp.max(xp.reshape(xp.abs(x), (*x.shape[: self.batch_ndim], -1)), axis=-1)

    def _ball(self, step: Any) -> L1Ball:
        return L1Ball(step * self.weight, batch_ndim=self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        return x - self._ball(step).prox(x)

    def conjugate(self) -> Function:
        return L1Ball(self.weight, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        jacobian = self._ball(step).prox_derivative(x)
        return SelfAdjointMap(lambda h: h - jacobian.apply(h), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"weight": ScaledMap(self._ball(step).prox_parameter_derivatives(x)["radius"], -step)}

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"|{x}|_inf")


@final
@dataclass(frozen=True, eq=False)
class L1PlusL2(Function):
    """f(x) = l1 |x|_1 + l2 |x|_2, not squared: sparse, and zero altogether where x is small. A row is one vector.

    Parameters
    ----------
    l1, l2 : float, default 1
        At least 0.

    Notes
    -----
    prox: block soft-thresholding (step l2) of the soft threshold (step l1) of x. **Domain** everything. **Constants** mu = 0,
    not smooth. **Cost** three passes. **Derivative** of the prox: that of the l2 norm at the soft threshold z of x, on the
    entries where z is not 0.

    References
    ----------
    Yu (2013), On decomposing the proximal map.

    Examples
    --------
    >>> import numpy as np
    >>> L1PlusL2(1.0, 2.5).prox(np.array([4.0, -5.0, 0.5])) + 0.0
    array([ 1.5, -2. ,  0. ])
    """

    l1: float = 1.0
    l2: float = 1.0

    def __post_init__(self) -> None:
        check_weight("L1PlusL2", self.l1)
        check_weight("L1PlusL2", self.l2)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5, 0.8), (5,), lambda cp, y: 0.5 * cp.norm1(y) + 0.8 * cp.norm(y, 2), is_complex=True),
            Sample(lambda a: cls(0.2, 0.1), (2, 3), lambda cp, y: 0.2 * cp.sum(cp.abs(y)) + 0.1 * cp.norm(y, "fro")),
        )

    @property
    def domain(self) -> Function:
        from monops.functions.function import Zero

        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        absolute = arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim)
        return self.l1 * absolute + self.l2 * row_norm(x, self.batch_ndim)

    def _parts(self, x: Array, step: Any) -> tuple[Array, Shrinkage]:
        z = arrays.soft_threshold(x, step * self.l1)
        return z, Shrinkage(z, row_size(z, self.batch_ndim), step * self.l2)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        z, shrinkage = self._parts(arrays.detach(x), arrays.detach(step))
        return self.with_derivative(x, step, z * shrinkage.factor)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        z, shrinkage = self._parts(x, step)
        outer, axes = shrinkage.derivative(row_axes(x, self.batch_ndim)), row_axes(x, self.batch_ndim)
        xp = arrays.namespace(x)
        if not xp.isdtype(x.dtype, "complex floating"):
            return DiagonalPlusRankOne(xp.astype(z != 0, x.dtype) * outer.diagonal, outer.vector, outer.coefficient, axes)
        phase = x / xp.astype(nonzero(xp.abs(x)), x.dtype)
        kept = xp.astype(z != 0, xp.abs(x).dtype)
        across = kept * (1.0 - step * self.l1 / nonzero(xp.abs(x)))
        inner = DiagonalPlusRankOne(across, phase, kept - across, ())
        return SelfAdjointMap(lambda h: 0.5 * (outer.apply(inner.apply(h)) + inner.apply(outer.apply(h))), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        z, shrinkage = self._parts(x, step)
        outer = shrinkage.derivative(row_axes(x, self.batch_ndim))
        xp = arrays.namespace(x)
        phase = z / xp.astype(nonzero(xp.abs(z)), z.dtype)
        return {"l1": BroadcastMap(-step * outer.apply(phase)), "l2": BroadcastMap(step * shrinkage.in_threshold())}

    def value_formula(self, x: str) -> str:
        return f"({weighted(self.l1, f'|{x}|_1')} + {weighted(self.l2, f'|{x}|_2')})"


@final
@dataclass(frozen=True, eq=False)
class SquaredL1(Function):
    """f(x) = weight/2 |x|_1^2 over all entries of a row: the exclusive lasso of one group.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: sign(x_i) max(|x_i| - t, 0) with t = step weight |prox(x)|_1. **Domain** everything. **Constants** mu = 0, not smooth.
    **Cost** linear: Newton's method on the piecewise linear equation for t, as for `Simplex`. **Derivative** of the prox: D - s
    v v*/(1 + s k) with D = 1 where prox(x) is not 0 (k entries), v = D sign(x), s = step weight.

    References
    ----------
    Kowalski (2009), Sparse regression using mixed norms.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredL1().prox(np.array([3.0, -1.0]), 1.0) + 0.0
    array([1.5, 0. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.weight, (int, float)) or not 0 < self.weight < math.inf:
            raise DataError(f"SquaredL1: weight={self.weight!r} must be a finite number > 0")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (5,), lambda cp, y: 0.65 * cp.square(cp.norm1(y))),
            Sample(lambda a: cls(0.1), (2, 3), lambda cp, y: 0.05 * cp.square(cp.sum(cp.abs(y)))),
        )

    @property
    def domain(self) -> Function:
        from monops.functions.function import Zero

        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        size = arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim)
        return 0.5 * self.weight * size * size

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        still = arrays.detach(x)
        xp = arrays.namespace(still)
        size = xp.reshape(xp.abs(still), (*x.shape[: self.batch_ndim], -1))
        top = xp.max(size, axis=-1, keepdims=True)
        share = 1.0 / (arrays.detach(step) * self.weight)
        # sum max(|x_i| - t, 0) = t/s is the threshold of a simplex with one entry more, at the top, of weight^2 1/s
        ratio = xp.concat([size - top, xp.zeros_like(top)], axis=-1)
        square = xp.concat([xp.ones_like(size), xp.zeros_like(top) + share], axis=-1)
        kept = arrays.clip(size - top - sum_threshold(ratio, square, share * top), 0.0, None)
        return self.with_derivative(x, step, xp.copysign(xp.reshape(kept, x.shape), still))

    def _face(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """The signs where the prox is not 0, how many they are, and the sum of its moduli; row axes kept."""
        xp = arrays.namespace(x)
        p = self.prox(x, step)
        signs = xp.sign(p)
        return signs, row_total(signs * signs, self.batch_ndim), row_total(xp.abs(p), self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        signs, count, _ = self._face(x, step)
        s = step * self.weight
        return DiagonalPlusRankOne(signs * signs, signs, -s / (1.0 + s * count), row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        signs, count, total = self._face(x, step)
        return {"weight": BroadcastMap(-step * total / (1.0 + step * self.weight * count) * signs)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/2 |{x}|_1^2"


@final
@dataclass(frozen=True, eq=False)
class CubedL2(Function):
    """f(x) = weight/3 |x|_2^3 over all entries of a row: the cubic regularisation of Newton's method.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x/(1 + s r) with s = step weight and r = 2 |x|/(1 + sqrt(1 + 4 s |x|)) the norm of the prox. Gradient weight |x| x.
    **Domain** everything. **Constants** mu = 0; the gradient is not Lipschitz on the whole space. **Cost** two passes.
    **Derivative** of the prox: (r/|x|) (I - u u*) + u u*/(1 + 2 s r), u = x/|x|; the identity at 0.

    References
    ----------
    Nesterov and Polyak (2006), Cubic regularization of Newton method and its global performance.

    Examples
    --------
    >>> import numpy as np
    >>> CubedL2().prox(np.array([1.2, 1.6]), 1.0)
    array([0.6, 0.8])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("CubedL2", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(1.3), (5,), lambda cp, y: 1.3 / 3 * cp.power(cp.norm(y, 2), 3), is_complex=True),)

    def __call__(self, x: Array) -> Array:
        size = row_norm(x, self.batch_ndim)
        return (self.weight / 3.0) * size * size * size

    def gradient(self, x: Array) -> Array:
        return arrays.scale_rows(self.weight * row_norm(x, self.batch_ndim), x)

    def _ratio(self, x: Array, step: Any) -> tuple[Array, Array]:
        """|x|, and r/|x|; row axes kept."""
        size = row_size(x, self.batch_ndim)
        root = arrays.namespace(size).sqrt(1.0 + (4.0 * step * self.weight) * size)
        return size, 2.0 / (1.0 + root)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        still = arrays.detach(x)
        return self.with_derivative(x, step, still * self._ratio(still, arrays.detach(step))[1])

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        size, ratio = self._ratio(x, step)
        along = 1.0 / (1.0 + 2.0 * step * self.weight * ratio * size)
        unit = x / arrays.namespace(x).astype(nonzero(size), x.dtype)
        return DiagonalPlusRankOne(ratio, unit, along - ratio, row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        size, ratio = self._ratio(x, step)
        r = ratio * size
        unit = x / arrays.namespace(x).astype(nonzero(size), x.dtype)
        return {"weight": BroadcastMap(-step * r * r / (1.0 + 2.0 * step * self.weight * r) * unit)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/3 |{x}|_2^3"

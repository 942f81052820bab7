"""Norms of a vector: l1, l2, l_inf, and l1 + l2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Known
from monops.functions.arguments import check_prox
from monops.functions.feasibility import nonzero, row_axes, row_norm
from monops.functions.function import Function, Zero
from monops.functions.norms.norm_powers import CubedL2 as CubedL2  # importable from here, too
from monops.functions.norms.shrinkage import Shrinkage, complex_shrinkage, row_size
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.sets.balls import L1Ball, L2Ball, LInfBall
from monops.functions.weights import check_weight, weighted
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap, ScaledMap, SelfAdjointMap

__all__ = ["L1Norm", "L1PlusL2", "L2Norm", "LInfNorm"]


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
    |x_i| > step weight_i, else 0 (0 at the kink); for complex x it also turns: 1 - step weight_i/|x_i| across x_i.

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

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return complex_shrinkage(x, step * self.weight, 1.0) or super().prox_derivative(x, step)

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
        check_prox(self, x, step)
        if self.batch_ndim == 0 and isinstance(x, np.ndarray) and not arrays.is_array(step):
            length = float(row_norm(x, 0))
            return x * (1.0 - step * self.weight / length if length > step * self.weight else 0.0 * length)
        still, threshold = autodiff.detach(x), autodiff.detach(step) * self.weight
        size = row_size(still, self.batch_ndim)
        return self.with_derivative(x, step, still * Shrinkage(still, size, threshold).factor)

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
        return self.weight * xp.max(arrays.flat_rows(xp.abs(x), self.batch_ndim), axis=-1)

    def _ball(self, step: Any) -> L1Ball:
        return L1Ball(step * self.weight, batch_ndim=self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
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
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        absolute = arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim)
        return self.l1 * absolute + self.l2 * row_norm(x, self.batch_ndim)

    def _parts(self, x: Array, step: Any) -> tuple[Array, Shrinkage]:
        z = arrays.soft_threshold(x, step * self.l1)
        return z, Shrinkage(z, row_size(z, self.batch_ndim), step * self.l2)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        z, shrinkage = self._parts(autodiff.detach(x), autodiff.detach(step))
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

"""Total variation of signals, exact: the prox by dynamic programming, alone or with an l1 norm, and the conjugate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import projection_by_moreau
from monops.functions.function import Function, Zero
from monops.functions.hosted import self_adjoint
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.variation.chains import Pieces, check_signal, denoise, weight_derivative
from monops.functions.weights import check_weight
from monops.linear import BroadcastMap, LinearMap, SelfAdjointMap

__all__ = [
    "BoundedCumulativeSums",
    "FusedLasso",
    "TotalVariation1D",
]


@final
@dataclass(frozen=True, eq=False)
class TotalVariation1D(Function):
    """f(x) = sum_k weight_k |x_{k+1} - x_k| along the last axis; other axes are independent signals.

    Parameters
    ----------
    weight : float or array that broadcasts against (..., n - 1), default 1
        At least 0, one for each pair of neighbours.

    Notes
    -----
    prox: constant on pieces; the value of a piece of length m is the mean of x on it plus step (weight_right s_right -
    weight_left s_left)/m, s the signs of the jumps at its ends. Found exactly by dynamic programming. **Domain** everything.
    **Constants** mu = 0, not smooth; f is 2 |weight|_2-Lipschitz when each edge has its own weight, because |D| <= 2; with a
    number the constant grows with n. **Cost** linear in n for every weight, 25 to 80 ns an entry with numba (the extra
    ``fast``), 2 us without; on the host: arrays of other libraries are copied there and back. **Derivative** of the prox: the
    mean over each piece (pieces that touch with equal values count as one); in the weight: each piece moves by (s_right -
    s_left) step/m; in weights of single edges by its own ends.

    References
    ----------
    Johnson (2013), A dynamic programming algorithm for the fused lasso and L0-segmentation. Davies and Kovac (2001), Local
    extremes, runs, strings and multiresolution. Condat (2013), A direct algorithm for 1-D total variation denoising.

    Examples
    --------
    >>> import numpy as np
    >>> f = TotalVariation1D(1.0)
    >>> f.prox(np.array([1.0, 2.0, 9.0, 9.0]), 1.0)
    array([2. , 2. , 8.5, 8.5])
    >>> float(f(np.array([1.0, 2.0, 9.0, 9.0])))
    8.0
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("TotalVariation1D", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.6), (7,), lambda cp, y: 0.6 * cp.norm1(y[1:] - y[:-1])),
            Sample(
                lambda a: cls(a([0.1, 0.9, 0.05, 2.0])),
                (2, 5),
                lambda cp, y: cp.sum(cp.abs(y[:, 1:] - y[:, :-1]) @ np.array([0.1, 0.9, 0.05, 2.0])),
            ),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        check_signal("TotalVariation1D", "weight", self.weight, x)
        return arrays.row_sum(self.weight * xp.abs(x[..., 1:] - x[..., :-1]), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        check_signal("TotalVariation1D", "weight", self.weight, x)
        found = denoise(autodiff.detach(x), autodiff.detach(step), self.detached().weight)
        return self.with_derivative(x, step, found)

    def conjugate(self) -> Function:
        return BoundedCumulativeSums(self.weight, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self_adjoint(self._pieces(x, step).average, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"weight": weight_derivative(self._pieces(x, step), self.weight, float(step), x)}

    def _pieces(self, x: Array, step: Any) -> Pieces:
        return Pieces(arrays.to_numpy(self.prox(x, step)), self.weight)

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.weight):
            return f"|w D{x}|_1"
        return f"|D{x}|_1" if self.weight == 1 else f"{self.weight:g} |D{x}|_1"


@final
@dataclass(frozen=True, eq=False)
class BoundedCumulativeSums(Function):
    """Indicator of {v : |v_1 + ... + v_k| <= bound_k for every k < n, and v_1 + ... + v_n = 0} along the last axis.

    The conjugate of ``TotalVariation1D(bound)``: v = D'u with |u_k| <= bound_k.

    Parameters
    ----------
    bound : float or array that broadcasts against (..., n - 1), default 1
        At least 0.

    Notes
    -----
    prox: x - prox_f(x), f = TotalVariation1D(bound), for every step (Moreau 1965). **Domain** the set; a sum counts as inside
    when it is within 8 epsilon (1 + |v_1| + ... + |v_k|) of it. **Constants** mu = 0. **Cost** as TotalVariation1D.
    **Derivative** of the prox: h minus its mean over each piece of prox_f(x); in the bound: minus the derivative of prox_f.

    References
    ----------
    Davies and Kovac (2001); Moreau (1965).

    Examples
    --------
    >>> import numpy as np
    >>> BoundedCumulativeSums(1.0).prox(np.array([1.0, 2.0, 9.0, 9.0])) + 0.0
    array([-1. ,  0. ,  0.5,  0.5])
    """

    bound: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("BoundedCumulativeSums", self.bound)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.6), (7,), lambda cp, y: [cp.abs(cp.cumsum(y)[:-1]) <= 0.6, cp.sum(y) == 0]),
            Sample(
                lambda a: cls(a([0.1, 0.9, 0.05, 2.0])),
                (5,),
                lambda cp, y: [cp.abs(cp.cumsum(y)[:-1]) <= np.array([0.1, 0.9, 0.05, 2.0]), cp.sum(y) == 0],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        check_signal("BoundedCumulativeSums", "bound", self.bound, x)
        xp = arrays.namespace(x)
        slack = 8.0 * arrays.epsilon(x) * (1.0 + xp.cumulative_sum(xp.abs(x), axis=-1))
        sums = xp.abs(xp.cumulative_sum(x, axis=-1))
        excess = xp.concat([sums[..., :-1] - self.bound - slack[..., :-1], sums[..., -1:] - slack[..., -1:]], axis=-1)
        outside = arrays.row_sum(xp.astype(excess > 0, x.dtype), self.batch_ndim)
        return xp.where(outside > 0, xp.full_like(outside, float("inf")), xp.zeros_like(outside))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return projection_by_moreau(x, self.conjugate().prox, self)

    def conjugate(self) -> Function:
        return TotalVariation1D(self.bound, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        mean = self.conjugate().prox_derivative(x, 1.0)
        return SelfAdjointMap(lambda h: h - mean.apply(h), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"bound": -1.0 * self.conjugate().prox_parameter_derivatives(x, 1.0)["weight"]}

    def value_formula(self, x: str) -> str:
        return f"i(|cumsum {x}| <= w)" if arrays.is_array(self.bound) else f"i(|cumsum {x}| <= {self.bound:g})"


@final
@dataclass(frozen=True, eq=False)
class FusedLasso(Function):
    """f(x) = weight sum_k |x_{k+1} - x_k| + l1_weight sum_k |x_k| along the last axis; other axes are independent signals.

    Parameters
    ----------
    weight : float or array that broadcasts against (..., n - 1), default 1
        Of the differences; at least 0.
    l1_weight : float, default 1
        Of the entries; at least 0, one number: weights of single entries have no such formula.

    Notes
    -----
    prox: soft-threshold the prox of the total variation by step l1_weight (Friedman et al. 2007). **Domain** everything.
    **Constants** mu = 0, not smooth. **Cost** one TotalVariation1D and one pass. **Derivative** of the prox: the mean over each
    constant piece, 0 on the pieces that are thresholded to 0.

    References
    ----------
    Tibshirani et al. (2005), Sparsity and smoothness via the fused lasso. Friedman, Hastie, Hoefling and Tibshirani (2007).

    Examples
    --------
    >>> import numpy as np
    >>> FusedLasso(1.0, 2.5).prox(np.array([1.0, 2.0, 9.0, 9.0]), 1.0)
    array([0., 0., 6., 6.])
    """

    weight: Any = 1.0
    l1_weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("FusedLasso", self.weight)
        check_weight("FusedLasso", self.l1_weight)
        if len(shape_of(self.l1_weight)):
            raise ShapeError("FusedLasso: l1_weight must be one number: with weights of single entries split f into two terms")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.6, 0.3), (7,), lambda cp, y: 0.6 * cp.norm1(y[1:] - y[:-1]) + 0.3 * cp.norm1(y)),
            Sample(
                lambda a: cls(a([0.1, 0.9, 0.05, 2.0]), 0.2),
                (2, 5),
                lambda cp, y: cp.sum(cp.abs(y[:, 1:] - y[:, :-1]) @ np.array([0.1, 0.9, 0.05, 2.0])) + 0.2 * cp.sum(cp.abs(y)),
            ),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    @property
    def _variation(self) -> TotalVariation1D:
        return TotalVariation1D(self.weight, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self._variation(x) + self.l1_weight * arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return arrays.soft_threshold(self._variation.prox(x, step), step * self.l1_weight)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        smooth = self._variation.prox(x, step)
        mask = self._mask(smooth, step)
        mean = self_adjoint(Pieces(arrays.to_numpy(smooth), self.weight).average, shape_of(x))
        return SelfAdjointMap(lambda h: mask * mean.apply(h), shape_of(x))

    def _mask(self, smooth: Array, step: Any) -> Array:
        xp = arrays.namespace(smooth)
        return xp.astype(xp.abs(smooth) > step * self.l1_weight, smooth.dtype)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        smooth = self._variation.prox(x, step)
        mask = self._mask(smooth, step)
        pieces = Pieces(arrays.to_numpy(smooth), self.weight)
        return {
            "weight": weight_derivative(pieces, self.weight, float(step), x, mask),
            "l1_weight": BroadcastMap(-step * mask * arrays.namespace(x).sign(smooth)),
        }

    def value_formula(self, x: str) -> str:
        return f"{self._variation.value_formula(x)} + {float(self.l1_weight):g} |{x}|_1"

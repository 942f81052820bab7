"""Norms of singular values that weigh them by size or by rank: Schatten, Ky Fan, and the weighted nuclear norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops.errors import CapabilityError
from monops.functions.entropies.powers import Power
from monops.functions.equations import check_positive
from monops.functions.function import Function
from monops.functions.norms.norms import L1Norm, L2Norm, LInfNorm
from monops.functions.norms.order import SumLargestAbsolute
from monops.functions.norms.sorted_norms import SortedL1
from monops.functions.sample import Sample
from monops.functions.spectral.spectral import check_number, scaled_text
from monops.functions.spectral.spectrum import OfSingularValues

__all__ = ["KyFanNorm", "SchattenNorm", "SchattenPower", "WeightedNuclearNorm"]


@final
@dataclass(frozen=True, eq=False)
class SchattenNorm(OfSingularValues):
    """f(X) = weight |sigma(X)|_p for p = 1 (nuclear), 2 (Frobenius) or infinity (spectral norm).

    Parameters
    ----------
    p : float, default 2
        1, 2 or math.inf. For others see `SchattenPower`, which takes every exponent above 1.
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(prox of weight |.|_p at sigma) V*. **Domain** everything. **Constants** mu = 0, not smooth. **Cost** one
    singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`, with that of `L1Norm`, `L2Norm` or
    `LInfNorm` on the diagonal.

    References
    ----------
    Lewis (1995), The convex analysis of unitarily invariant matrix functions; Bhatia (1997), Matrix Analysis.

    Examples
    --------
    >>> import numpy as np
    >>> float(SchattenNorm(2)(np.array([[3.0, 0.0], [0.0, 4.0]])))
    5.0
    """

    p: float = 2.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        if self.p not in (1, 2, math.inf):
            raise CapabilityError(
                f"SchattenNorm: p={self.p!r}: there is a closed-form prox for p = 1, 2 and math.inf; for other p > 1 use "
                "SchattenPower(p), the sum of the powers sigma^p/p"
            )
        check_number("SchattenNorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1, 1.3), (2, 3), lambda cp, y: 1.3 * cp.normNuc(y), is_complex=True),
            Sample(lambda a: cls(2, 0.7), (3, 2), lambda cp, y: 0.7 * cp.norm(y, "fro"), is_complex=True),
            Sample(lambda a: cls(math.inf, 0.4), (2, 2), lambda cp, y: 0.4 * cp.sigma_max(y), is_complex=True),
        )

    @property
    def vector(self) -> Function:
        return {1: L1Norm, 2: L2Norm, math.inf: LInfNorm}[self.p](self.weight)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"|sigma({x})|_{self.p:g}")


@final
@dataclass(frozen=True, eq=False)
class SchattenPower(OfSingularValues):
    """f(X) = weight sum_i sigma_i(X)^exponent/exponent, exponent > 1.

    Parameters
    ----------
    exponent : float, default 2
        Greater than 1 (`NuclearNorm` is the limit 1).
    weight : float, default 1
        Greater than 0.

    Notes
    -----
    prox: U diag(p) V* with the root p >= 0 of p + step weight p^(exponent - 1) = sigma, that of `Power`. Gradient weight U
    diag(sigma^(exponent - 1)) V*. **Domain** everything. **Constants** mu = L = weight for exponent 2, else mu = 0 and the
    gradient is not Lipschitz. **Cost** one singular value decomposition. **Derivative** of the prox: that of
    `SpectralFunction`, with that of `Power` on the diagonal; there is no kink.

    References
    ----------
    Lewis (1995), The convex analysis of unitarily invariant matrix functions; Bhatia (1997), Matrix Analysis.

    Examples
    --------
    >>> import numpy as np
    >>> SchattenPower(3.0).prox(np.diag([2.0, -6.0])).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0., -2.]])
    """

    exponent: float = 2.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        Power(self.exponent)
        check_number("SchattenPower", self.weight)
        check_positive("SchattenPower", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(2.0, 0.7), (2, 3), lambda cp, y: 0.35 * cp.sum_squares(y), is_complex=True),
            Sample(lambda a: cls(4.0), (1, 3), lambda cp, y: 0.25 * cp.power(cp.norm(y, "fro"), 4), is_complex=True),
            Sample(lambda a: cls(1.5, a(0.5)), (3, 1), lambda cp, y: 0.5 / 1.5 * cp.power(cp.norm(y, "fro"), 1.5)),
        )

    @property
    def vector(self) -> Function:
        return Power(self.exponent, self.weight)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"sum sigma({x})^{self.exponent:g}/{self.exponent:g}")


@final
@dataclass(frozen=True, eq=False)
class KyFanNorm(OfSingularValues):
    """f(X) = weight times the sum of the ``count`` largest singular values, the Ky Fan norm.

    Parameters
    ----------
    count : float, default 1
        Above 0, at most min(m, n): 1 is the spectral norm, min(m, n) the nuclear norm; a fraction counts the next singular
        value with that fraction.
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: U diag(prox of `SumLargestAbsolute` at sigma) V*. **Domain** everything. **Constants** mu = 0, not smooth. **Cost**
    one singular value decomposition. **Derivative** of the prox: that of `SpectralFunction`, with that of `SumLargestAbsolute`
    on the diagonal.

    References
    ----------
    Overton and Womersley (1993), Optimality conditions and duality theory for minimizing sums of the largest eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> KyFanNorm(2).prox(np.diag([3.0, 2.5, 0.5])).diagonal().round(12)
    array([2. , 1.5, 0.5])
    """

    count: Any = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        SumLargestAbsolute(self.count, 1.0)
        check_number("KyFanNorm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def largest(cp: Any, y: Any, k: int) -> Any:
            m, n = y.shape
            dilation = cp.bmat([[np.zeros((m, m)), y], [y.T, np.zeros((n, n))]])  # its eigenvalues are +-sigma, and 0
            return cp.lambda_sum_largest(dilation, k)

        return (
            Sample(lambda a: cls(2, 1.3), (3, 4), lambda cp, y: 1.3 * largest(cp, y, 2), is_complex=True),
            Sample(lambda a: cls(2, 0.3), (4, 3), lambda cp, y: 0.3 * largest(cp, y, 2)),
        )

    @property
    def vector(self) -> Function:
        return SumLargestAbsolute(self.count, self.weight)

    def value_formula(self, x: str) -> str:
        return scaled_text(self.weight, f"sum of {self.count:g} largest sigma({x})")


@final
@dataclass(frozen=True, eq=False)
class WeightedNuclearNorm(OfSingularValues):
    """f(X) = sum_i weights_i sigma_i(X), sigma_1 >= sigma_2 >= ..., with nonincreasing weights: `SortedL1` of sigma.

    Parameters
    ----------
    weights : array, shape (min(m, n),)
        Nonincreasing, at least 0. With increasing weights, as in the denoising of Gu et al. (2014), f is not convex: refused.

    Notes
    -----
    prox: U diag(prox of `SortedL1` at sigma) V*. **Domain** everything. **Constants** mu = 0, not smooth. **Cost** one singular
    value decomposition, and an isotonic regression on the host. **Derivative** of the prox: that of `SpectralFunction`, with
    that of `SortedL1` on the diagonal.

    References
    ----------
    Lewis (1995); Bogdan, van den Berg, Sabatti, Su and Candes (2015), SLOPE, for the vector.

    Examples
    --------
    >>> import numpy as np
    >>> WeightedNuclearNorm(np.array([2.0, 1.0])).prox(np.diag([4.0, 3.5])).diagonal().round(12)
    array([2.25, 2.25])
    """

    weights: Any

    def __post_init__(self) -> None:
        SortedL1(self.weights)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        weights = [1.5, 0.7, 0.2]

        def reference(cp: Any, y: Any) -> Any:
            m, n = y.shape
            dilation = cp.bmat([[np.zeros((m, m)), y], [y.T, np.zeros((n, n))]])
            steps = [a - b for a, b in zip(weights, [*weights[1:], 0.0], strict=True)]
            return sum(step * cp.lambda_sum_largest(dilation, rank + 1) for rank, step in enumerate(steps))

        return (Sample(lambda a: cls(a(weights)), (3, 4), reference, is_complex=True),)

    @property
    def vector(self) -> Function:
        return SortedL1(self.weights)

    def value_formula(self, x: str) -> str:
        return f"<w, sigma({x})>"

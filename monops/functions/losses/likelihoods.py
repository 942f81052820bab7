"""Losses that are negative log-likelihoods or divergences from data: logistic, cross entropy, Poisson, Kullback-Leibler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.entropies.barriers import (
    UpperLogBarrier,
    barrier_curvature,
    barrier_slopes,
    minus_inverse,
    weighted_negative_log,
)
from monops.functions.entropies.entropies import Exponential, FermiDirac
from monops.functions.equations import (
    Smooth,
    check_nonnegative,
    check_positive,
    entropic_root,
    inverse_inside,
    log,
    log_inside,
    logistic_root,
    reciprocal_root,
    softplus,
    two_sided_root,
    x_log_x,
)
from monops.functions.feasibility import as_text, holds_somewhere
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.linear import Diagonal

__all__ = [
    "CrossEntropy",
    "KullbackLeibler",
    "LogisticLoss",
    "PoissonLoss",
    "ReverseKullbackLeibler",
]


@final
@dataclass(frozen=True, eq=False)
class LogisticLoss(Smooth):
    """f(x) = sum_i log(1 + exp(-labels_i x_i)), labels -1 or 1; ``LogisticLoss(y) @ A`` is logistic regression.

    Parameters
    ----------
    labels : array of -1 and 1 that broadcasts against x, or one of these numbers
        ``LogisticLoss(-1.0)`` is softplus, log(1 + exp(x)).

    Notes
    -----
    prox: labels u with the root u of u - step/(1 + exp(u)) = labels x, by Halley's method in three steps. **Domain**
    everything. **Constants** L = 1/4 (f'' at 0), mu = 0; each term is 1-Lipschitz. **Cost** seven logarithms and exponentials
    an entry. **Derivative** of the prox: 1/(1 + step s (1 - s)) with s = 1/(1 + exp(p)).

    References
    ----------
    Briceno-Arias, Chierchia, Chouzenoux and Pesquet (2019), A random block-coordinate Douglas-Rachford splitting method with
    low computational complexity for binary logistic regression.

    Examples
    --------
    >>> import numpy as np
    >>> f = LogisticLoss(np.array([1.0, -1.0]))
    >>> round(float(f(np.zeros(2))), 6)
    1.386294
    >>> np.round(f.prox(np.array([-1e150, 0.0])), 3)
    array([-1.00e+150, -4.01e-001])
    """

    labels: Any

    def __post_init__(self) -> None:
        if not isinstance(self.labels, (int, float)):
            arrays.check_floating("LogisticLoss.labels", self.labels)
            if arrays.namespace(self.labels).isdtype(self.labels.dtype, "complex floating"):
                raise DataError("LogisticLoss: labels are complex: they must be the real numbers -1 or 1")
        if holds_somewhere(abs(self.labels) != 1):
            raise DataError("LogisticLoss: labels must be -1 or 1; for labels 0 and 1 pass 2*labels - 1")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([1.0, -1.0, 1.0, 1.0, -1.0])), (5,)),
            Sample(lambda a: cls(-1.0), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=0.25, cyclic=True, why="computed: largest second derivative 1/4")

    def entry_value(self, x: Array) -> Array:
        return softplus(-self.labels * x)

    def entry_slope(self, x: Array) -> Array:
        return -self.labels * arrays.logistic(-self.labels * x)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        size = arrays.namespace(x).abs(x)
        return arrays.logistic(size) * arrays.logistic(-size)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        v = self.labels * x
        negative = v + 0.5 * step < 0  # then the root is: reflect
        u = logistic_root(xp.where(negative, -step - v, v), step)
        return self.labels * xp.where(negative, -u, u)

    def conjugate(self) -> Function:
        dual = FermiDirac(batch_ndim=self.batch_ndim)
        if not arrays.is_array(self.labels):
            return dual if self.labels < 0 else dual.scale_argument(-1.0)
        return dual.precompose(Diagonal(-self.labels))

    def value_formula(self, x: str) -> str:
        return f"sum log(1 + exp(-y {x}))"


@final
@dataclass(frozen=True, eq=False)
class CrossEntropy(Smooth):
    """f(x) = -sum_i targets_i log(x_i) + (1 - targets_i) log(1 - x_i) on 0 < x < 1: of probabilities x, targets in [0, 1].

    Parameters
    ----------
    targets : float or array that broadcasts against x
        Between 0 and 1, both included. For logits instead of probabilities use ``LogisticLoss``.

    Notes
    -----
    prox: the root in [0, 1] of the cubic (p - x)/step = targets/p - (1 - targets)/(1 - p), as in ``BoxBarrier``. **Domain**
    [0, 1] (the closure). **Constants** mu = (t^(1/3) + (1 - t)^(1/3))^3, at least 1; no gradient at 0 and 1. **Cost** about
    six square roots an entry. **Derivative** of the prox: 1/(1 + step f''(p)), 0 where p is 0 or 1; in the targets too.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(CrossEntropy(np.array([0.0, 0.5, 1.0])).prox(np.array([0.5, 0.5, 0.5])), 4)
    array([0. , 0.5, 1. ])
    """

    targets: Any

    def __post_init__(self) -> None:
        if holds_somewhere((self.targets < 0) | (self.targets > 1) | (self.targets != self.targets)):
            raise DataError(
                "CrossEntropy: targets must be probabilities between 0 and 1; for labels -1 and 1 pass (labels + 1)/2"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.5), (5,)), Sample(lambda a: cls(a([0.01, 0.3, 0.99])), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        mu = (self.targets ** (1.0 / 3.0) + (1.0 - self.targets) ** (1.0 / 3.0)) ** 3
        least = float(arrays.namespace(mu).min(mu)) if arrays.is_array(mu) else mu
        return Constants(least, cyclic=True, why="computed: smallest second derivative in (0, 1)")

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, 1.0

    def entry_value(self, x: Array) -> Array:
        return weighted_negative_log(self.targets, x) + weighted_negative_log(1.0 - self.targets, 1.0 - x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = barrier_slopes(self.targets, x)
        mirrored_lower, mirrored_upper = barrier_slopes(1.0 - self.targets, 1.0 - x)
        return lower - mirrored_upper, upper - mirrored_lower

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.targets, x) + barrier_curvature(1.0 - self.targets, 1.0 - x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return two_sided_root(x, step * self.targets, step * (1.0 - self.targets))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"targets": minus_inverse(p) + minus_inverse(1.0 - p)}

    def value_formula(self, x: str) -> str:
        return f"-sum {as_text(self.targets)} log({x}) + (1 - {as_text(self.targets)}) log(1 - {x})"


@final
@dataclass(frozen=True, eq=False)
class PoissonLoss(Smooth):
    """f(x) = sum_i x_i - counts_i log(x_i) on x > 0: minus the log-likelihood of Poisson counts with means x.

    Parameters
    ----------
    counts : float or array that broadcasts against x
        At least 0; where it is 0, f = x on x >= 0. ``ReverseKullbackLeibler`` differs by a constant, so that its least value
        is 0.

    Notes
    -----
    prox: (z + sqrt(z^2 + 4 step counts))/2 with z = x - step. **Domain** x >= 0 (its closure). **Constants** mu = 0; no
    gradient outside x > 0. **Cost** one square root an entry. **Derivative** of the prox: p^2/(p^2 + step counts); 0 where
    p = 0.

    References
    ----------
    Combettes and Pesquet (2007), A Douglas-Rachford splitting approach to nonsmooth convex variational signal recovery.

    Examples
    --------
    >>> import numpy as np
    >>> PoissonLoss(np.array([0.0, 2.0])).prox(np.array([0.5, 1.0]))
    array([0.        , 1.41421356])
    """

    counts: Any

    def __post_init__(self) -> None:
        check_nonnegative("PoissonLoss", "counts", self.counts)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(a([0.1, 1.0, 7.0])), (2, 3)), Sample(lambda a: cls(2.0), (5,)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return x + weighted_negative_log(self.counts, x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = barrier_slopes(self.counts, x)
        return 1.0 + lower, 1.0 + upper

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.counts, x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return reciprocal_root(x - step, step * self.counts)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"counts": minus_inverse(p)}

    def conjugate(self) -> Function:
        return UpperLogBarrier(self.counts, 1.0, self.counts / math.e, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {x} - {as_text(self.counts)} log({x})"


@final
@dataclass(frozen=True, eq=False)
class KullbackLeibler(Smooth):
    """f(x) = sum_i x_i log(x_i/reference_i) - x_i + reference_i on x >= 0, the divergence KL(x | reference).

    Parameters
    ----------
    reference : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: step omega(x/step + log(reference/step)), with Wright's omega: omega(z) + log(omega(z)) = z. **Domain** x >= 0.
    **Constants** mu = 0 (f'' = 1/x); no gradient at 0. **Cost** five logarithms and exponentials an entry. **Derivative** of
    the prox: p/(p + step).

    References
    ----------
    Kullback and Leibler (1951); Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> f = KullbackLeibler(np.array([1.0, 2.0]))
    >>> f.prox(np.array([1.0, 2.0]))
    array([1., 2.])
    """

    reference: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("KullbackLeibler", {"reference": self.reference})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(a([0.5, 1.0, 7.0])), (2, 3)), Sample(lambda a: cls(2.0), (5,)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return x_log_x(x / self.reference) * self.reference - x + self.reference

    def entry_slope(self, x: Array) -> Array:
        return log_inside(x / self.reference)

    def entry_curvature(self, x: Array) -> Array:
        return inverse_inside(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return entropic_root(x, step, log(self.reference))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"reference": -1.0 / self.reference + arrays.namespace(p).zeros_like(p)}

    def conjugate(self) -> Function:
        return Exponential(self.reference, centered=True, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"KL({x} | {as_text(self.reference)})"


@final
@dataclass(frozen=True, eq=False)
class ReverseKullbackLeibler(Smooth):
    """f(x) = sum_i reference_i log(reference_i/x_i) - reference_i + x_i on x > 0, the divergence KL(reference | x).

    Parameters
    ----------
    reference : float or array that broadcasts against x, default 1
        At least 0; where it is 0, f = x on x >= 0. ``PoissonLoss`` is this up to a constant.

    Notes
    -----
    prox: (z + sqrt(z^2 + 4 step reference))/2 with z = x - step. **Domain** x >= 0 (its closure). **Constants** mu = 0; no
    gradient outside x > 0. **Cost** one square root an entry. **Derivative** of the prox: p^2/(p^2 + step reference); 0 where
    p = 0.

    References
    ----------
    Kullback and Leibler (1951); Csiszar (1991), Why least squares and maximum entropy?

    Examples
    --------
    >>> import numpy as np
    >>> f = ReverseKullbackLeibler(np.array([0.0, 2.0]))
    >>> float(f(np.array([0.0, 2.0])))
    0.0
    """

    reference: Any = 1.0

    def __post_init__(self) -> None:
        check_nonnegative("ReverseKullbackLeibler", "reference", self.reference)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(a([0.1, 1.0, 7.0])), (2, 3)), Sample(lambda a: cls(2.0), (5,)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return weighted_negative_log(self.reference, x) + x_log_x(self.reference + 0.0 * x) + (x - self.reference)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        lower, upper = barrier_slopes(self.reference, x)
        return 1.0 + lower, 1.0 + upper

    def entry_curvature(self, x: Array) -> Array:
        return barrier_curvature(self.reference, x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return reciprocal_root(x - step, step * self.reference)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"reference": minus_inverse(p)}

    def conjugate(self) -> Function:
        return UpperLogBarrier(self.reference, 1.0, 1.0, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"KL({as_text(self.reference)} | {x})"

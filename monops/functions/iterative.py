"""Functions whose prox is found by iteration, with a certificate: the duality gap bounds the error."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import InexactProxWarning
from monops.functions.function import Function, check_prox

DEFAULT_TOLERANCE = 1e-6


class CertifiedProx(NamedTuple):
    """A point near the prox, and how near.

    Attributes
    ----------
    point : array
        p, close to prox(x); feasible where the value must be finite.
    gap : array, one entry a row
        Duality gap of f(p) + |p - x|^2/(2 step): an upper bound of its distance from the minimum.
    error_bound : array, one entry a row
        |p - prox(x)| <= sqrt(2 step gap), because the objective is 1/step-strongly convex.
    iterations : int
    converged : bool
        Whether every row reached error_bound <= tolerance (1 + |x|).
    """

    point: Array
    gap: Array
    error_bound: Array
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Iterative(Function):
    """A function whose prox needs an inner iteration; ``prox_certified`` returns its duality gap.

    Parameters
    ----------
    tolerance : float, optional
        The inner iteration ends when its certified error is at most tolerance (1 + |x|) in every row. Default: a tenth of
        the ``tol`` of the ``solve`` that calls it; 1e-6 when called alone.
    max_iter : int, default 10000
        Inner iterations; where they do not suffice an InexactProxWarning states the certified error.
    """

    tolerance: float | None = field(default=None, kw_only=True)
    max_iter: int = field(default=10_000, kw_only=True)

    @abstractmethod
    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        """The prox with its duality gap; ``tolerance`` overrides the field."""

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        found = self.detached().prox_certified(autodiff.detach(x), autodiff.detach(step))
        worst = 0.0 if found.converged else float(arrays.namespace(found.error_bound).max(found.error_bound))
        if worst > 0:  # NaN, from a NaN in x, is in the answer itself
            warnings.warn(
                f"the prox of {type(self).__name__} ended after max_iter={self.max_iter} inner iterations with a certified "
                f"error of {worst:.3g}: raise max_iter or the tolerance",
                InexactProxWarning,
                stacklevel=2,
            )
        return self.with_derivative(x, step, found.point)

    def target_error(self, x: Array, tolerance: float | None) -> Any:
        """The error allowed in each row: tolerance (1 + |x|), not below what the dtype resolves."""
        chosen = tolerance if tolerance is not None else self.tolerance
        relative = DEFAULT_TOLERANCE if chosen is None else chosen
        least = 4.0 * arrays.epsilon(x) ** 0.5  # the root of a gap of a few epsilon
        return max(float(relative), least) * (1.0 + arrays.norm(x, self.batch_ndim))

"""Functions whose prox is found by iteration, with a certificate: the duality gap bounds the error."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import InexactProxWarning
from monops.functions.arguments import check_prox
from monops.functions.function import Function

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
        Whether the error bound of every row reached its target: tolerance times the size of the problem, (1 + |x|) unless
        the class says otherwise.
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
        The inner iteration ends when its certified error is at most tolerance (1 + |x|) in every row; tolerance |x| for
        total variations and overlapping groups, whose prox scales with x. Default: a tenth of the ``tol`` of the ``solve``
        that calls it; 1e-6 when called alone, unless the class names another.
    max_iter : int, default 10000
        Inner iterations; where they do not suffice an InexactProxWarning states the certified error.
    """

    tolerance: float | None = field(default=None, kw_only=True)
    max_iter: int = field(default=10_000, kw_only=True)

    size_floor: ClassVar[float] = 1.0  # added to |x|: 0 where prox(x) is of the size of x

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
        """The error allowed in each row: tolerance (size_floor + |x|), not below what the dtype resolves."""
        chosen = tolerance if tolerance is not None else self.tolerance
        relative = DEFAULT_TOLERANCE if chosen is None else chosen
        least = 4.0 * arrays.epsilon(x) ** 0.5  # the root of a gap of a few epsilon
        smallest = float(arrays.namespace(x).finfo(x.dtype).smallest_normal)
        return max(float(relative), least) * (self.size_floor + arrays.norm(x, self.batch_ndim)) + smallest

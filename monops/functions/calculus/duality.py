"""Conjugates and Moreau envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.functions.wrapper import Wrapper, renamed
from monops.linear import BroadcastMap, Diagonal, LinearMap, SelfAdjointMap

__all__ = ["Conjugate", "MoreauEnvelope"]


@final
@dataclass(frozen=True, eq=False)
class Conjugate(Wrapper):
    """f*(y) = sup_x <x, y> - f(x), by Moreau's identity; made by ``f.conjugate()`` where there is no class of its own.

    Functions whose conjugate has a closed-form value return their own class from ``conjugate``; this one has a prox only.

    Notes
    -----
    prox: x - step prox_{f/step}(x/step). **Domain** unknown, unless f is Lipschitz. **Constants** mu and beta = 1/L of f
    change places. **Cost** one prox of f. **Derivative** of the prox: the identity minus that of f at x/step with step 1/step.

    References
    ----------
    Moreau (1965), Proximité et dualité dans un espace hilbertien.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L2Norm
    >>> np.round(Conjugate(L2Norm()).prox(np.array([3.0, 4.0])), 12)
    array([0.6, 0.8])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(SquaredL2(2.0)), (5,)), Sample(lambda a: cls(L1Norm(0.6)), (5,)))

    @property
    def has_value(self) -> bool:
        return False

    @property
    def has_gradient(self) -> bool:
        return False

    @cached_property
    def constants(self) -> Constants:
        return constants.inverse(self.function.constants)

    @property
    def domain(self) -> Function | None:
        return None

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return x - step * self.function.prox(x / step, 1.0 / step)

    def conjugate(self) -> Function:
        return self.function

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return complement(self.function.prox_derivative(x / step, 1.0 / step))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return renamed(self.function.prox_parameter_derivatives(x / step, 1.0 / step), -step)

    def value_formula(self, x: str) -> str:
        return f"({self.function.value_formula('.')})*({x})"


def complement(jacobian: LinearMap) -> LinearMap:
    """I - J."""
    if isinstance(jacobian, Diagonal):
        return Diagonal(1.0 - jacobian.diagonal)
    return SelfAdjointMap(lambda h: h - jacobian.apply(h), jacobian.input_shape)


@final
@dataclass(frozen=True, eq=False)
class MoreauEnvelope(Wrapper):
    """e(x) = min_y f(y) + |y - x|^2/(2 parameter): smooth, with the minimisers of f; made by ``f.envelope(parameter)``.

    Notes
    -----
    prox: x + step/(parameter + step) (prox_{(parameter + step) f}(x) - x). Gradient (x - prox_{parameter f}(x))/parameter.
    **Domain** everything. **Constants** L = 1/parameter, mu = mu_f/(1 + parameter mu_f). **Cost** one prox of f.
    **Derivative** of the prox: the same combination of the identity and the derivative of prox_{(parameter + step) f}.

    References
    ----------
    Moreau (1965); Bauschke and Combettes (2017), chapters 12 and 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm
    >>> MoreauEnvelope(L1Norm(), 2.0).gradient(np.array([1.0, 5.0]))
    array([0.5, 1. ])
    """

    parameter: float

    def __post_init__(self) -> None:
        if not 0 < self.parameter < float("inf"):
            raise DataError(f"MoreauEnvelope: parameter={self.parameter!r} must be a finite number > 0")
        if not self.function.is_convex:
            raise DataError(
                f"MoreauEnvelope: {type(self.function).__name__} is nonconvex, so that its envelope need not be smooth: use a "
                "convex function"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (Sample(lambda a: cls(L1Norm(), 0.5), (5,)), Sample(lambda a: cls(SquaredL2(2.0), 0.5), (5,)))

    @property
    def has_value(self) -> bool:
        return self.function.has_value and self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_prox

    @cached_property
    def constants(self) -> Constants:
        return constants.yosida(self.function.constants, self.parameter)

    @property
    def value_lipschitz(self) -> Known | None:
        return self.function.value_lipschitz

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        nearest = self.function.prox(x, self.parameter)
        move = x - nearest
        return self.function(nearest) + arrays.inner(move, move, self.batch_ndim) / (2.0 * self.parameter)

    def gradient(self, x: Array) -> Array:
        return (x - self.function.prox(x, self.parameter)) / self.parameter

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        total = self.parameter + step
        return x + (step / total) * (self.function.prox(x, total) - x)

    def conjugate(self) -> Function:
        return self.function.conjugate().add_quadratic(self.parameter)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        total = self.parameter + step
        jacobian, share = self.function.prox_derivative(x, total), step / total
        if isinstance(jacobian, Diagonal):
            return Diagonal(1.0 + share * (jacobian.diagonal - 1.0))
        return SelfAdjointMap(lambda h: h + share * (jacobian.apply(h) - h), jacobian.input_shape)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        total = self.parameter + step
        move = self.function.prox(x, total) - x
        inner = self.function.prox_derivative(x, total).apply(move) / total
        column = (step / total) * inner - (step / total**2) * move
        maps = renamed(self.function.prox_parameter_derivatives(x, total), step / total)
        return {"parameter": BroadcastMap(column)} | maps if not isinstance(column, tuple) else maps

    def value_formula(self, x: str) -> str:
        return f"env_{self.parameter:g}({self.function.value_formula(x)})"

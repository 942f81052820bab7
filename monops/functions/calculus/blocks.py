"""Separable sums over blocks of variables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import constants
from monops.arrays import Array, Blocks
from monops.constants import Constants, Known
from monops.errors import DataError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.linear import BlockDiagonal, LinearMap

__all__ = [
    "SeparableSum",
]


@final
@dataclass(frozen=True, eq=False)
class SeparableSum(Function):
    """f(x1, x2, ...) = f1(x1) + f2(x2) + ... on Blocks; the prox acts block by block.

    Notes
    -----
    prox: (prox_{f1}(x1), prox_{f2}(x2), ...). **Domain** the product. **Constants** the least mu, the largest L; f is
    sqrt(G1^2 + G2^2 + ...)-Lipschitz. **Cost** the sum. **Derivative** of the prox: block-diagonal.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm, NonNegative
    >>> f = SeparableSum((L1Norm(), NonNegative()))
    >>> f.prox(Blocks((np.array([3.0]), np.array([-1.0]))))
    Blocks(array([2.]), array([0.]))
    """

    functions: tuple[Function, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "functions", tuple(self.functions))
        if not self.functions:
            raise DataError("SeparableSum needs at least one function")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.norms.norms import L1Norm
        from monops.functions.norms.squares import SquaredL2

        return (
            Sample(lambda a: cls((SquaredL2(1.0), SquaredL2(3.0))), ((3,), (2,))),
            Sample(lambda a: cls((L1Norm(), SquaredL2(2.0))), ((3,), (2,))),
        )

    @property
    def takes_complex(self) -> bool:
        return all(function.takes_complex for function in self.functions)

    @property
    def is_convex(self) -> bool:
        return all(function.is_convex for function in self.functions)

    @property
    def is_indicator(self) -> bool:
        return all(function.is_indicator for function in self.functions)

    @property
    def value_lipschitz(self) -> Known | None:
        parts = [function.value_lipschitz for function in self.functions]
        if any(part is None for part in parts):
            return None
        return Known(sum(part.value**2 for part in parts if part) ** 0.5, "rule: root of the sum of squares over the blocks")

    @property
    def domain(self) -> Function | None:
        parts = [function.domain for function in self.functions]
        if all(isinstance(part, Zero) for part in parts):
            return Zero(batch_ndim=self.batch_ndim)
        known = tuple(part for part in parts if part is not None)
        return SeparableSum(known, batch_ndim=self.batch_ndim) if len(known) == len(parts) else None

    @cached_property
    def constants(self) -> Constants:
        return constants.product([function.constants for function in self.functions])

    @property
    def input_shape(self) -> Any:
        shapes = tuple(function.input_shape for function in self.functions)
        return None if None in shapes else shapes

    @property
    def has_value(self) -> bool:
        return all(function.has_value for function in self.functions)

    @property
    def has_prox(self) -> bool:
        return all(function.has_prox for function in self.functions)

    @property
    def has_gradient(self) -> bool:
        return all(function.has_gradient for function in self.functions)

    def _blocks(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != len(self.functions):
            raise ShapeError(f"SeparableSum of {len(self.functions)} functions needs Blocks of {len(self.functions)} arrays")
        return x

    def __call__(self, x: Array) -> Array:
        values = [function(block) for function, block in zip(self.functions, self._blocks(x), strict=True)]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return Blocks([function.prox(block, step) for function, block in zip(self.functions, self._blocks(x), strict=True)])

    def gradient(self, x: Array) -> Array:
        return Blocks([function.gradient(block) for function, block in zip(self.functions, self._blocks(x), strict=True)])

    def conjugate(self) -> Function:
        return SeparableSum(tuple(function.conjugate() for function in self.functions), batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        pairs = zip(self.functions, self._blocks(x), strict=True)
        return BlockDiagonal(tuple(function.prox_derivative(block, step) for function, block in pairs))

    def value_formula(self, x: str) -> str:
        names = [function.value_formula(f"{x}{index + 1}") for index, function in enumerate(self.functions)]
        return f"({' + '.join(names)})"

"""What functions made from one other function share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monops.constants import Known
from monops.functions.function import Function
from monops.linear import Composition, LinearMap, ScaledMap


@dataclass(frozen=True, eq=False)
class Wrapper(Function):
    """A function made from one other: what it can do, and where it lives, is inherited from that one."""

    function: Function

    @property
    def input_shape(self) -> Any:
        return self.function.input_shape

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    @property
    def takes_complex(self) -> bool:
        return self.function.takes_complex

    @property
    def takes_many_steps(self) -> bool:
        return self.function.takes_many_steps

    @property
    def has_value(self) -> bool:
        return self.function.has_value

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_gradient


def renamed(maps: dict[str, LinearMap], outer: LinearMap | float = 1.0) -> dict[str, LinearMap]:
    """Derivatives of a prox in the parameters of a wrapped function: names get a prefix, ``outer`` is applied to each."""
    if isinstance(outer, LinearMap):
        return {f"function.{name}": Composition(outer, part) for name, part in maps.items()}
    return {f"function.{name}": part if outer == 1.0 else ScaledMap(part, outer) for name, part in maps.items()}


def scaled_known(known: Known | None, factor: float, rule: str) -> Known | None:
    """A Lipschitz constant of a value times a factor."""
    return None if known is None else Known(factor * known.value, f"rule: {rule}; {known.why}")

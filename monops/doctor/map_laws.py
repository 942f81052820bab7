"""A splitting method on a problem as a fixed-point map T, and what its theorem claims of T."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops.algorithms import Algorithm
from monops.arrays import Array
from monops.doctor.arithmetic_laws import Evaluation, arithmetic_laws
from monops.doctor.law import Law, Skip
from monops.doctor.points import Supply
from monops.doctor.tools import norm
from monops.errors import CapabilityError
from monops.problem import Inclusion, Summand


@final
@dataclass(frozen=True, eq=False)
class FixedPointMap:
    """The map z -> T z of a method on a problem.

    Parameters
    ----------
    algorithm : Algorithm
        A method with ``is_map``.
    problem : Inclusion, Function or Operator

    Raises
    ------
    CapabilityError
        When the method is no fixed-point map.

    Examples
    --------
    >>> import numpy as np, monops
    >>> T = FixedPointMap(monops.ProximalPoint(step_size=1.0), monops.L1Norm())
    >>> T(np.array([3.0, 0.5]))
    array([2., 0.])
    """

    algorithm: Algorithm
    problem: Any

    def __post_init__(self) -> None:
        if not self.algorithm.is_map:
            raise CapabilityError(
                f"{self.algorithm.name} is no fixed-point map: its step changes from one iteration to the next"
            )
        problem = Inclusion(self.problem.terms()) if isinstance(self.problem, Summand) else self.problem
        object.__setattr__(self, "problem", problem)

    @cached_property
    def terms(self) -> Any:
        """The method bound to the problem."""
        return self.algorithm.match(self.problem)

    def __call__(self, z: Array) -> Array:
        """T z."""
        state = self.algorithm.step(self.terms, self.algorithm.at(self.terms, z))
        return self.algorithm.governing(self.terms, state)

    def metric(self, z: Array) -> Array:
        """M z of the inner product in which T is averaged."""
        return self.algorithm.metric(self.terms, z)

    def start(self, x: Array) -> Array:
        """A governing point from a point of the problem."""
        return self.algorithm.governing(self.terms, self.algorithm.init(self.terms, x))

    def batched(self, batch_ndim: int) -> FixedPointMap:
        """The same map on rows."""
        return FixedPointMap(self.algorithm, self.problem.batched(batch_ndim))


def map_laws(item: FixedPointMap, supply: Supply) -> Iterator[Law | Skip]:
    """Averagedness in the method's metric, the metric itself, and arithmetic."""
    tight = 1e-9 if supply.is_double else 1e-4
    pairs = [{"x": x, "y": y} for x, y in [*supply.pairs, *supply.extremal_pairs(item, [supply.randoms[0]])]]
    averagedness = item.algorithm.averagedness(item.terms)
    if averagedness is None:
        yield Skip("averaged", "", f"no averagedness is proven for {item.algorithm.name}")
    else:
        yield Law(
            "averaged",
            f"|Tx - Ty|^2 + (1 - a)/a |(I - T)x - (I - T)y|^2 <= |x - y|^2; a claimed ({item.terms.guarantee.source})",
            let=("p, q, M = item(x), item(y), item.metric", "d, e = x - y, (x - p) - (y - q)"),
            left="inner(M(p - q), p - q) + (1.0 - a) / a * inner(M(e), e)",
            right="inner(M(d), d)",
            scale="norm(d) * (norm(M(d)) + size * norm(d))",
            given="norm(d) > 0",
            trials=pairs,
            tolerance=tight,
            constants={"a": float(averagedness), "size": _size(item, supply)},
            claim=True,
        )
    yield Law(
        "metric self-adjoint and positive",
        "the metric is a (semi-)inner product",
        let=("M = item.metric", "Mx, My = M(x), M(y)"),
        left="max(abs(inner(Mx, y) - inner(x, My)), -inner(Mx, x), -inner(My, y))",
        scale="(norm(x) + norm(y)) * (norm(Mx) + norm(My) + size * (norm(x) + norm(y)))",
        trials=pairs[: 2 * supply.count],
        tolerance=tight,
        constants={"size": _size(item, supply)},
    )
    yield from arithmetic_laws(item, supply, Evaluation("T", "item(x)", "item.batched(1)(rows)"))


def _size(item: FixedPointMap, supply: Supply) -> float:
    """About the norm of the metric: what rounding in M z is relative to, where M z itself vanishes."""
    return max(norm(item.metric(z)) / norm(z) for z in supply.randoms)

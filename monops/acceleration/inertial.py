"""Inertial Krasnosel'skii-Mann iteration: y = z + c (z - z_), z+ = y + t (Ty - y)   (Polyak 1964; Mainge 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.acceleration.wrapper import Acceleration, Terms, image, product, size
from monops.algorithms import adaptive
from monops.arrays import Array
from monops.errors import DataError, StepSizeError


class State(NamedTuple):
    """z and the point before it, steps since the last restart and in all, the residual before, the first one (one a row)."""

    z: Array
    previous: Array
    count: Array
    total: Array
    residual: Array
    first: Array
    inner: Any


@final
@dataclass(frozen=True)
class Inertial(Acceleration):
    """Momentum on an averaged map: c = min{k/(k + 3), budget/|z - z_|^2}, restarted when the residual grows.

    Parameters
    ----------
    method : Algorithm, optional
        A method whose step is an averaged map. Default: the one with the least predicted effort.
    relaxation : float, optional
        t in (0, 1/a) for an a-averaged map. Default: 1/(2a), which makes the relaxed map firmly nonexpansive; momentum on a
        map that reflects does not help.
    restart : bool, default True
        Begin again without momentum in a row whose residual |y - Ty| grows.
    budget : float, default 100.0
        In units of the square of the first residual: the momentum of step k uses at most budget/k^1.1 of it.

    Raises
    ------
    StepSizeError
        When the relaxation is outside (0, 1/a).

    Notes
    -----
    The momenta satisfy sum c_k |z_k - z_{k-1}|^2 < infinity, the hypothesis under which the iteration converges for every
    averaged map. **Certificate** of the wrapped method, at Ty. **Cost** one step of the wrapped method.

    References
    ----------
    Mainge (2008), Convergence theorems for inertial KM-type algorithms, Theorem 2.1. O'Donoghue and Candes (2015), Adaptive
    restart.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.diag([1.0, 0.1]), np.array([3.0, 0.5])) + 0.01 * monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.Inertial(monops.ForwardBackward())).x, 4)
    array([2.99  , 3.9999])
    """

    relaxation: float | None = None
    restart: bool = True
    budget: float = 100.0
    cost: ClassVar[str] = "1 step of the wrapped method"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 1500

    def __post_init__(self) -> None:
        if not self.budget >= 0:
            raise DataError(f"Inertial: budget={self.budget!r} must be a number >= 0")

    @property
    def rate(self) -> tuple[str, str]:
        return "convergence of z; |z - Tz| -> 0", "Mainge (2008) Thm 2.1"

    def match(self, problem: Any) -> Terms:
        terms = super().match(problem)
        if self.relaxation is not None and not 0 < self.relaxation < 1.0 / terms.averagedness:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, {1.0 / terms.averagedness:.4g}), where an "
                f"{terms.averagedness:.4g}-averaged map may be relaxed (Bauschke-Combettes 2017)"
            )
        return terms

    def begin(self, terms: Terms, z: Array, inner: Any) -> State:
        zero = adaptive.initial(0.0, z, terms.batch_ndim)
        return State(z, z, zero, zero, zero, zero - 1.0, inner)

    def step(self, terms: Terms, state: State) -> State:
        difference = state.z - state.previous
        xp = arrays.namespace(state.count)
        total = state.total + 1.0
        square = product(terms, difference, difference)
        allowance = self.budget * state.first * state.first / (total**1.1)
        momentum = state.count / (state.count + 3.0)
        safe = square > 0
        cap = xp.where(safe, allowance / xp.where(safe, square, xp.ones_like(square)), xp.ones_like(square))
        momentum = xp.where(momentum < cap, momentum, cap)
        y = state.z + arrays.scale_rows(momentum, difference)
        inner, Ty = image(terms, y)
        move = Ty - y
        residual = size(terms, move)
        first = xp.where(state.first < 0, residual, state.first)
        grows = (residual > state.residual) & (state.count > 0)
        again = grows if self.restart else xp.zeros_like(grows)
        count = xp.where(again, xp.zeros_like(state.count), state.count + 1.0)
        relaxation = 0.5 / terms.averagedness if self.relaxation is None else self.relaxation
        return State(y + relaxation * move, state.z, count, total, residual, first, inner)

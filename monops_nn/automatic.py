"""Which method solves a pass when the user names none: the cheapest whose theorem holds, with its step, and no trial pass."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from monops.algorithms import Algorithm
from monops.algorithms.cocoercive import ForwardBackward
from monops.algorithms.lipschitz import ForwardBackwardForward
from monops.algorithms.resolvents import DouglasRachford, PeacemanRachford
from monops.functions.separable import Separable
from monops_nn.operators import ActivationOperator
from monops_nn.systems.system import System

UNKNOWN = 0.5  # the rate assumed of other methods
FEW = 10.0  # resolvents of all rows, as whose work an inverse is made without asking what else there is


class Choice(NamedTuple):
    """A method, a guess of what a step leaves of the residual (for the first look at it), and whether its step was found."""

    algorithm: Algorithm
    rate: float
    found: bool


def choose(
    system: System, sigma: ActivationOperator, algorithm: Algorithm | None, rows: int = 128, tol: float = 1e-4
) -> Choice:
    """The given method, with a step found for it where it has none; else the one that costs least for so many rows.

    Any step of Peaceman-Rachford and Douglas-Rachford is proven for strongly monotone I - W; theirs is the minimiser of the
    contraction over the rectangle that holds the numerical range. Where the prox of the activation with a step other than 1
    needs a root finder, the step is 1.
    """
    if algorithm is None:
        algorithm = _cheapest(system, rows, tol)
    if not isinstance(algorithm, (PeacemanRachford, DouglasRachford)) or not system.has_resolvent:
        return Choice(algorithm, UNKNOWN, False)
    function, spread = sigma.activation, system.spread()
    rooted = not isinstance(function, Separable) or function.solves_for_prox
    step = algorithm.step_size
    if step is not None and not step > 0:
        return Choice(algorithm, UNKNOWN, False)  # which the method refuses by name
    if step is None:
        step = 1.0 if rooted else spread.best_step
    bound = spread.contraction(step)
    rate = bound**2 if isinstance(algorithm, PeacemanRachford) else 0.5 * (1.0 + bound)
    return Choice(replace(algorithm, step_size=step), min(max(rate, 0.05), 0.9), algorithm.step_size is None)


def _cheapest(system: System, rows: int, tol: float) -> Algorithm:
    """The least work of both passes: steps by the rates proven, products or resolvents a step, and the inverse made once."""
    product, resolvent, making = system.effort
    decades = 2.0 * rows * -math.log(min(tol, 0.5))
    if system.has_resolvent and making <= FEW * rows * resolvent:  # no other method needs so few steps
        return PeacemanRachford()
    mu, L = system.monotonicity, system.lipschitz_bound()
    kappa, step = max(L / mu, 1.0), 1.0 / (L + math.sqrt(mu * L))
    tseng = -0.5 * math.log1p(-min(1.0 - (step * L) ** 2, 2.0 * step * mu) / 2.0)  # of the logarithm, a step
    plain = -0.5 * math.log1p(-1.0 / kappa**2) if kappa > 1.0 else math.inf
    costs: dict[Algorithm, float] = {
        ForwardBackward(): decades * product / plain,
        ForwardBackwardForward(): decades * 2.0 * product / tseng,
    }
    if system.has_resolvent:
        spread = system.spread()
        costs[PeacemanRachford()] = making + decades * resolvent / -math.log(spread.contraction(spread.best_step) + 1e-9)
    return min(costs, key=lambda method: costs[method])

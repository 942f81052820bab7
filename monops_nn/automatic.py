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


class Choice(NamedTuple):
    """A method, a guess of what a step leaves of the residual (for the first look at it), and whether its step was found."""

    algorithm: Algorithm
    rate: float
    found: bool


def choose(system: System, sigma: ActivationOperator, algorithm: Algorithm | None) -> Choice:
    """The given method, with a step found for it where it has none; else Peaceman-Rachford, or a method without inverse.

    Any step of Peaceman-Rachford and Douglas-Rachford is proven for strongly monotone I - W; theirs is the minimiser of the
    contraction over the rectangle that holds the numerical range. Where the prox of the activation with a step other than 1
    needs a root finder, the step is 1. Without a cheap resolvent: forward-backward or forward-backward-forward, by the
    number of products that their proven rates ask for.
    """
    if algorithm is None:
        algorithm = PeacemanRachford() if system.has_resolvent else _without_inverse(system)
    if not isinstance(algorithm, (PeacemanRachford, DouglasRachford)):
        return Choice(algorithm, UNKNOWN, False)
    function, spread = sigma.activation, system.spread()
    rooted = not isinstance(function, Separable) or function.solves_for_prox
    step = algorithm.step_size
    if step is None:
        step = 1.0 if rooted else spread.best_step
    bound = spread.contraction(step)
    rate = bound**2 if isinstance(algorithm, PeacemanRachford) else 0.5 * (1.0 + bound)
    return Choice(replace(algorithm, step_size=step), min(max(rate, 0.05), 0.9), algorithm.step_size is None)


def _without_inverse(system: System) -> Algorithm:
    mu, L = system.monotonicity, system.lipschitz_bound()
    kappa = max(L / mu, 1.0)
    step = 1.0 / (L + math.sqrt(mu * L))
    tseng = -0.5 * math.log1p(-min(1.0 - (step * L) ** 2, 2.0 * step * mu) / 2.0)  # of the logarithm, a step
    plain = -0.5 * math.log1p(-1.0 / kappa**2) if kappa > 1.0 else math.inf
    return ForwardBackward() if plain >= 0.5 * tseng else ForwardBackwardForward()

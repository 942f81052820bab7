"""What methods of forward-backward type share: their roles, the rate of I - step B, the range of a relaxation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monops.algorithms.roles import require_resolvent, sort_roles, too_many_resolvents, zero
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Missing, Number


def forward_contraction(B: Constants, step: Number) -> Number:
    """Squared Lipschitz constant of I - step B for monotone B (theorems OP-09, OP-10, OP-11 of ``proofs``).

    Subdifferential: max(|1 - step mu|, |1 - step L|)^2; otherwise 1 - 2 step mu + step^2 mu/beta up to step = 2 beta
    and (1 - step/beta)^2 beyond; and never more than 1 - 2 step mu + step^2 L^2.
    """
    mu, beta, lipschitz = B.strong_monotonicity, B.cocoercivity, B.lipschitz
    if beta == math.inf:
        return 1
    if B.cyclic:
        return max(abs(1 - step * mu), abs(1 - step * lipschitz)) ** 2
    lipschitz_only = 1 - 2 * step * mu + step**2 * lipschitz**2
    return min(lipschitz_only, 1 - 2 * step * mu + step**2 * mu / beta if step <= 2 * beta else (1 - step / beta) ** 2)


def check_relaxation(relaxation: float, method: str, source: str) -> None:
    """Raise StepSizeError unless the relaxation is in (0, 2)."""
    if not 0 < relaxation < 2:
        raise StepSizeError(f"relaxation={relaxation:g} is outside (0, 2), where {method} is proven ({source})")


class OneResolvent(NamedTuple):
    """Roles of 0 in Ax + Bx: A by its resolvent (zero where no term needs one), B cocoercive by its forward value."""

    A: Any
    B: Any


def one_resolvent(problem: Inclusion) -> OneResolvent | Missing:
    """Roles for the methods of forward-backward type, or what is missing."""
    roles = sort_roles(problem, "cocoercivity")
    for operator in roles.resolvents:
        missing = require_resolvent(operator, "cocoercivity")
        if missing is not None:
            return missing
    if len(roles.resolvents) > 1:
        return too_many_resolvents(roles.resolvents, "cocoercivity", "use DouglasRachford or DavisYin")
    if roles.forward is None:
        return Missing(
            "no term has a forward value with a known cocoercivity",
            "for a monotone Lipschitz term use ForwardBackwardForward, for two resolvents DouglasRachford",
        )
    return OneResolvent(roles.resolvents[0] if roles.resolvents else zero(problem), roles.forward)

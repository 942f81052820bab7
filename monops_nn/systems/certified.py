"""Constants of I - W from computed eigenvalues, rounded to the safe side."""

from __future__ import annotations

import math

from monops.constants import Constants
from monops.errors import ConstantError

NOT_FINITE = "the weight W contains NaN or infinity: lower the learning rate, or clip the gradient"


def certified_constants(
    least: float, cocoercivity: float, inverse_top: float, gram_top: float, rounding: float, *, over: str = "", remedy: str
) -> Constants:
    """Mu, beta and L; ConstantError, with the remedy, where mu is not positive.

    Parameters
    ----------
    least : float
        Least eigenvalue of sym M, M = I - W.
    cocoercivity, inverse_top : float
        Least and largest eigenvalue of sym M^-1.
    gram_top : float
        Largest eigenvalue of M*M.
    rounding : float
        Relative error of all of them.
    over : str
        What the extremes are taken over, for the reasons.
    remedy : str
        What else to use, for the error.
    """
    lipschitz = math.sqrt(max(gram_top, 0.0)) * (1.0 + rounding)
    mu = least - rounding * lipschitz
    if mu <= 0:
        raise ConstantError(
            f"I - W is not strongly monotone: lambda_min of its symmetric part is {least:.6g}, so that the equilibrium need "
            f"not exist or be unique; subtract at least {-mu:.3g} times the identity from W, or use {remedy}"
        )
    beta = max(cocoercivity - rounding * abs(inverse_top), mu / lipschitz**2)
    return Constants(
        min(mu, lipschitz),
        min(beta, 1.0 / lipschitz),
        lipschitz,
        affine=True,
        why={
            "strong_monotonicity": f"computed: least eigenvalue of the symmetric part of I - W{over}",
            "cocoercivity": f"computed: least eigenvalue of the symmetric part of (I - W)^-1{over}",
            "lipschitz": f"computed: largest singular value of I - W{over}",
        },
    )

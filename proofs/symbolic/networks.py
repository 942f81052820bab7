"""Identities behind the theorems on equilibrium networks."""

from __future__ import annotations

import sympy


def nn06() -> bool:
    """D = 1/J - 1, 0 < J <= 1: the resolvent of u -> Du - g with step a is J (x + a g)/(J + a (1 - J)), a scalar at a time."""
    J, a, x, g = sympy.symbols("J a x g", positive=True)
    u = J * (x + a * g) / (J + a * (1 - J))
    return bool(sympy.simplify(u + a * ((1 / J - 1) * u - g) - x) == 0)


IDENTITIES = {"NN-06": nn06}

"""Theorems on algorithms (AL): rates, step intervals, what happens beyond them."""

from __future__ import annotations

from proofs.algorithms import (
    acceleration,
    asymptotics,
    douglas_rachford,
    fixed_points,
    forward_backward,
    gradients,
    multipliers,
    primal_dual,
    product_space,
    reflected,
)
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *acceleration.THEOREMS,
    *asymptotics.THEOREMS,
    *douglas_rachford.THEOREMS,
    *fixed_points.THEOREMS,
    *forward_backward.THEOREMS,
    *gradients.THEOREMS,
    *multipliers.THEOREMS,
    *primal_dual.THEOREMS,
    *product_space.THEOREMS,
    *reflected.THEOREMS,
)

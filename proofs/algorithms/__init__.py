"""Theorems on algorithms (AL): rates, step intervals, what happens beyond them."""

from __future__ import annotations

from proofs.algorithms import douglas_rachford, fixed_points, forward_backward, multipliers
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *douglas_rachford.THEOREMS,
    *fixed_points.THEOREMS,
    *forward_backward.THEOREMS,
    *multipliers.THEOREMS,
)

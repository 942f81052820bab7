"""Theorems on equilibrium networks (NN): existence, gradients, Lipschitz bounds, stacking."""

from __future__ import annotations

from proofs.networks import activations, convolutions, gradients, lipschitz, methods, stacking, uniqueness, well_posed
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *activations.THEOREMS,
    *convolutions.THEOREMS,
    *gradients.THEOREMS,
    *lipschitz.THEOREMS,
    *methods.THEOREMS,
    *stacking.THEOREMS,
    *uniqueness.THEOREMS,
    *well_posed.THEOREMS,
)

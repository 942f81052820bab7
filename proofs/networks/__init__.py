"""Theorems on equilibrium networks (NN): existence, gradients, Lipschitz bounds, stacking."""

from __future__ import annotations

from proofs.networks import uniqueness
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*uniqueness.THEOREMS,)

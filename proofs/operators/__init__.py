"""Theorems on operators (OP): resolvents, forward steps, Cayley operators, the calculus of averaged maps."""

from __future__ import annotations

from proofs.operators import (
    averaged,
    cayley,
    cayley_gradients,
    classes,
    contractions,
    forward_steps,
    geometry,
    moreau,
    prox_calculus,
    resolvents,
)
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (
    *averaged.THEOREMS,
    *cayley.THEOREMS,
    *cayley_gradients.THEOREMS,
    *classes.THEOREMS,
    *contractions.THEOREMS,
    *forward_steps.THEOREMS,
    *geometry.THEOREMS,
    *moreau.THEOREMS,
    *prox_calculus.THEOREMS,
    *resolvents.THEOREMS,
)

"""Theorems on operators (OP): resolvents, forward steps, Cayley operators, the calculus of averaged maps."""

from __future__ import annotations

from proofs.operators import first
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (*first.THEOREMS,)

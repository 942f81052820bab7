"""Theorems on algorithms (AL): rates, step intervals, what happens beyond them."""

from __future__ import annotations

from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = ()

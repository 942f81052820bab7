"""Theorems of the field made executable: a registry of statements, instances, counterexamples and mutants."""

from __future__ import annotations

from proofs.check import check as check

__all__ = ["check"]

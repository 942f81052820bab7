"""Polytopes of transport plans and of doubly stochastic matrices."""

from __future__ import annotations

__all__: list[str] = []

"""Projections on sets cut out by linear equations and inequalities."""

from __future__ import annotations

__all__: list[str] = []

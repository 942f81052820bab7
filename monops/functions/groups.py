"""Norms over groups of entries: disjoint, nested and overlapping groups."""

from __future__ import annotations

__all__: list[str] = []

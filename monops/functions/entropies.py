"""Entropies, barriers, exponentials and powers, entry by entry."""

from __future__ import annotations

__all__: list[str] = []

"""Divergences between two nonnegative vectors."""

from __future__ import annotations

__all__: list[str] = []

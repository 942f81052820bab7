"""Perspective functions y phi(x / y)."""

from __future__ import annotations

__all__: list[str] = []

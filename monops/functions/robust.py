"""Smooth robust losses: Huber and its relatives."""

from __future__ import annotations

__all__: list[str] = []

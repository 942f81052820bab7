"""Exponential and power cones and their duals."""

from __future__ import annotations

__all__: list[str] = []

"""Closed convex cones, their polars and duals."""

from __future__ import annotations

__all__: list[str] = []

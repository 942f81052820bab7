"""Projections on nonconvex sets: sparse, low rank, binary, spheres, orthogonal frames."""

from __future__ import annotations

__all__: list[str] = []

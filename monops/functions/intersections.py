"""Sets whose projection needs an iteration: intersections, polyhedra, transport polytopes."""

from __future__ import annotations

__all__: list[str] = []

"""Piecewise linear and piecewise quadratic losses: hinge, epsilon-insensitive, quantile, positive part."""

from __future__ import annotations

__all__: list[str] = []

"""Smooth losses: least squares, quadratic, logistic, Huber."""

from __future__ import annotations

__all__: list[str] = []

"""Nonconvex penalties with a closed-form prox, marked nonconvex."""

from __future__ import annotations

__all__: list[str] = []

"""Functions of the sorted entries: maximum, sums of the largest, sorted l1."""

from __future__ import annotations

__all__: list[str] = []

"""Functions of singular values and eigenvalues."""

from __future__ import annotations

__all__: list[str] = []

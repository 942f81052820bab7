"""Total variation: exact in one dimension and on trees, certified on grids and graphs."""

from __future__ import annotations

__all__: list[str] = []

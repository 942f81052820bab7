"""What stands behind a theorem besides its instances, by id: identities, worst-case programs, exact certificates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proofs.symbolic import SYMBOLIC as SYMBOLIC

SEMIDEFINITE: dict[str, Callable[[np.random.Generator], float]] = {}
"""Relative difference of the worst-case semidefinite program and the claim of monops at a random parameter point."""

CERTIFIED: dict[str, int] = {}
"""Number of committed exact certificates of a theorem."""

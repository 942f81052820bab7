"""Methods that split off linear maps and update a primal and a dual point."""

from monops.algorithms.primal_dual.chambolle_pock import ChambollePock

__all__ = [
    "ChambollePock",
]

"""Feedforward networks and cascades of equilibrium layers as one equilibrium layer (Theorems 1 and 2 of the talk)."""

from monops_nn.stacking.affine import AffineMap
from monops_nn.stacking.cell import StackedCell
from monops_nn.stacking.chain import Chain
from monops_nn.stacking.layer import DenseStack, StackedEquilibrium, stack_equilibria, stack_feedforward
from monops_nn.stacking.substitution import ChainPicard
from monops_nn.stacking.system import ChainSystem

__all__ = [
    "AffineMap",
    "Chain",
    "ChainPicard",
    "ChainSystem",
    "DenseStack",
    "StackedCell",
    "StackedEquilibrium",
    "stack_equilibria",
    "stack_feedforward",
]

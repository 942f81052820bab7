"""monops_nn: equilibrium layers z = sigma(W z + U x + b) for PyTorch, solved forward and backward by monops."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("monops_nn needs torch: pip install 'monops[nn]'") from error

from monops_nn.activations import ACTIVATIONS
from monops_nn.deq import DEQ
from monops_nn.loading import load_original
from monops_nn.mondeq import MonDEQ
from monops_nn.newton import LayerNewton
from monops_nn.operators import ActivationDerivative, ActivationOperator, CoupledDerivative, EquilibriumOperator
from monops_nn.parametrize import (
    CircularConvolution,
    FeedbackTiers,
    Graph,
    LowRank,
    MonotoneLinear,
    MultiTierConvolution,
    PaddedConvolution,
    Parametrization,
    Skew,
    Triangular,
)
from monops_nn.parametrize.lipschitz_bounded import LipschitzBounded, LipschitzBoundedNetwork
from monops_nn.solution import Solution
from monops_nn.stacking import stack_equilibria, stack_feedforward
from monops_nn.systems import DenseSystem, System
from monops_nn.wellposed import WellPosedness, wellposed

__all__ = [
    "ACTIVATIONS",
    "ActivationDerivative",
    "ActivationOperator",
    "CircularConvolution",
    "CoupledDerivative",
    "DEQ",
    "DenseSystem",
    "EquilibriumOperator",
    "FeedbackTiers",
    "Graph",
    "LayerNewton",
    "LipschitzBounded",
    "LipschitzBoundedNetwork",
    "LowRank",
    "MonDEQ",
    "MonotoneLinear",
    "MultiTierConvolution",
    "PaddedConvolution",
    "Parametrization",
    "Skew",
    "Solution",
    "System",
    "Triangular",
    "WellPosedness",
    "load_original",
    "stack_equilibria",
    "stack_feedforward",
    "wellposed",
]

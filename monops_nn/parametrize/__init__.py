"""Parametrisations of the weight W of an equilibrium layer, one a file."""

from monops_nn.parametrize.circular_convolution import CircularConvolution
from monops_nn.parametrize.feedback_tiers import FeedbackTiers
from monops_nn.parametrize.graph import Graph
from monops_nn.parametrize.low_rank import LowRank
from monops_nn.parametrize.monotone_linear import MonotoneLinear
from monops_nn.parametrize.multi_tier import MultiTierConvolution
from monops_nn.parametrize.padded_convolution import PaddedConvolution
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.parametrize.skew import Skew
from monops_nn.parametrize.triangular import Triangular

__all__ = [
    "CircularConvolution",
    "FeedbackTiers",
    "Graph",
    "LowRank",
    "MonotoneLinear",
    "MultiTierConvolution",
    "PaddedConvolution",
    "Parametrization",
    "Skew",
    "Triangular",
]

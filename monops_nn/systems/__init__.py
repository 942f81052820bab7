"""W for one pass, by structure: products, resolvents, gradients, constants."""

from monops_nn.systems.circular import CircularSystem
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.feedback_tiers import FeedbackTierSystem
from monops_nn.systems.graph import GraphSystem
from monops_nn.systems.low_rank import LowRankSystem
from monops_nn.systems.padded import PaddedSystem
from monops_nn.systems.system import Spread, System
from monops_nn.systems.tiers import TierSystem

__all__ = [
    "CircularSystem",
    "DenseSystem",
    "FeedbackTierSystem",
    "GraphSystem",
    "LowRankSystem",
    "PaddedSystem",
    "Spread",
    "System",
    "TierSystem",
]

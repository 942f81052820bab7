"""Closed convex functions: value, prox, gradient, conjugate, derivative of the prox, constants."""

from monops.functions.activations import Tanh
from monops.functions.calculus import MoreauEnvelope, SeparableSum
from monops.functions.function import Conjugate, Function, Scaling, Translation
from monops.functions.losses import Huber, LeastSquares, LogisticLoss, Quadratic
from monops.functions.norms import GroupL2, GroupL2Ball, L1Norm, L2Norm, SquaredL2, Zero
from monops.functions.sets import Box, BoxSupport, L2Ball, NonNegative, Simplex

__all__ = [
    "Box",
    "BoxSupport",
    "Conjugate",
    "Function",
    "GroupL2",
    "GroupL2Ball",
    "Huber",
    "L1Norm",
    "L2Ball",
    "L2Norm",
    "LeastSquares",
    "LogisticLoss",
    "MoreauEnvelope",
    "NonNegative",
    "Quadratic",
    "Scaling",
    "SeparableSum",
    "Simplex",
    "SquaredL2",
    "Tanh",
    "Translation",
    "Zero",
]

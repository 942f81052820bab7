"""Maximal monotone operators: forward value, resolvent, constants."""

from monops.operators.affine import Affine, Skew
from monops.operators.calculus import Custom, OperatorSum, Yosida
from monops.operators.fixed_point import FixedPoint
from monops.operators.games import BlockAffine, PseudoGradient, SmoothSaddle
from monops.operators.matrix_free import MatrixFreeAffine
from monops.operators.operator import Inverse, Operator, ScaledOperator, Shifted
from monops.operators.subdifferential import NormalCone, Saddle, Subdifferential

__all__ = [
    "Affine",
    "BlockAffine",
    "Custom",
    "FixedPoint",
    "Inverse",
    "MatrixFreeAffine",
    "NormalCone",
    "Operator",
    "OperatorSum",
    "PseudoGradient",
    "Saddle",
    "ScaledOperator",
    "Shifted",
    "Skew",
    "SmoothSaddle",
    "Subdifferential",
    "Yosida",
]

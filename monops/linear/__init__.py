"""Linear maps K: apply, adjoint, norm, and (I + step K*K)^-1 where it is cheap."""

from monops.linear.blocks import Component, Row
from monops.linear.convolution import Convolution
from monops.linear.dense import Identity, Matrix
from monops.linear.difference import Gradient
from monops.linear.interop import MatvecMap, adjoint_error, as_linear_map
from monops.linear.jacobian import BlockDiagonal, BroadcastMap, DiagonalPlusRankOne, SelfAdjointMap
from monops.linear.linear_map import Adjoint, Composition, LinearMap, ScaledMap
from monops.linear.sparse import SparseMatrix
from monops.linear.stack import Diagonal, Stack

__all__ = [
    "Adjoint",
    "BlockDiagonal",
    "BroadcastMap",
    "Component",
    "Composition",
    "Convolution",
    "Diagonal",
    "DiagonalPlusRankOne",
    "Gradient",
    "Identity",
    "LinearMap",
    "Matrix",
    "MatvecMap",
    "Row",
    "ScaledMap",
    "SelfAdjointMap",
    "SparseMatrix",
    "Stack",
    "adjoint_error",
    "as_linear_map",
]

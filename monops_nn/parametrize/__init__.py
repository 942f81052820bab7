"""Parametrisations of the weight W of an equilibrium layer, one a file."""

from monops_nn.parametrize.monotone_linear import MonotoneLinear

__all__ = ["MonotoneLinear"]

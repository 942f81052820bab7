"""Parametrisations of the weight W of an equilibrium layer, one a file."""

from monops_nn.parametrize.circular_convolution import CircularConvolution
from monops_nn.parametrize.monotone_linear import MonotoneLinear
from monops_nn.parametrize.multi_tier import MultiTierConvolution
from monops_nn.parametrize.padded_convolution import PaddedConvolution

__all__ = ["MultiTierConvolution", "CircularConvolution", "MonotoneLinear", "PaddedConvolution"]

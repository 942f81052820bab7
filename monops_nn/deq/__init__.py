"""Deep equilibrium models: the fixed point of any cell, found by monops, with exact or approximate gradients."""

from monops_nn.deq.dropout import VariationalDropout
from monops_nn.deq.layer import DEQ
from monops_nn.deq.regularisation import jacobian_penalty, spectral_radius
from monops_nn.deq.solution import EquilibriumSolution
from monops_nn.deq.trajectory import fixed_point_correction

__all__ = ["DEQ", "EquilibriumSolution", "VariationalDropout", "fixed_point_correction", "jacobian_penalty", "spectral_radius"]

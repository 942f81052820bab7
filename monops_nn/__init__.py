"""monops_nn: equilibrium layers z = sigma(W z + U x + b) for PyTorch, solved forward and backward by ``monops.solve``."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("monops_nn needs torch: pip install 'monops[nn]'") from error

from monops_nn.equilibrium import ActivationDerivative
from monops_nn.mondeq import MonDEQ
from monops_nn.operators import EquilibriumOperator, System
from monops_nn.parametrize import MonotoneLinear

__all__ = ["ActivationDerivative", "EquilibriumOperator", "MonDEQ", "MonotoneLinear", "System"]

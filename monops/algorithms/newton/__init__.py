"""Methods that finish with Newton steps on the structure that first-order steps have found."""

from monops.algorithms.newton.augmented_lagrangian_newton import AugmentedLagrangianNewton
from monops.algorithms.newton.dual_newton import DualNewton
from monops.algorithms.newton.interior_proximal_multipliers import InteriorProximalMultipliers
from monops.algorithms.newton.panoc import PANOC
from monops.algorithms.newton.semismooth_newton import SemismoothNewton
from monops.algorithms.newton.working_set_newton import WorkingSetNewton

__all__ = [
    "PANOC",
    "AugmentedLagrangianNewton",
    "DualNewton",
    "InteriorProximalMultipliers",
    "SemismoothNewton",
    "WorkingSetNewton",
]

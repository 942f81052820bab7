"""Methods that use resolvents and nothing else."""

from monops.algorithms.resolvents.douglas_rachford import DouglasRachford
from monops.algorithms.resolvents.peaceman_rachford import PeacemanRachford
from monops.algorithms.resolvents.proximal_point import ProximalPoint

__all__ = [
    "DouglasRachford",
    "PeacemanRachford",
    "ProximalPoint",
]

"""Methods that use resolvents and nothing else, and projective splitting, which takes some terms by forward values."""

from monops.algorithms.resolvents.douglas_rachford import DouglasRachford
from monops.algorithms.resolvents.inertial_proximal_point import InertialProximalPoint
from monops.algorithms.resolvents.malitsky_tam import MalitskyTam
from monops.algorithms.resolvents.parallel_douglas_rachford import ParallelDouglasRachford
from monops.algorithms.resolvents.peaceman_rachford import PeacemanRachford
from monops.algorithms.resolvents.projective_splitting import ProjectiveSplitting
from monops.algorithms.resolvents.proximal_point import ProximalPoint
from monops.algorithms.resolvents.ryu import Ryu

__all__ = [
    "DouglasRachford",
    "InertialProximalPoint",
    "MalitskyTam",
    "ParallelDouglasRachford",
    "PeacemanRachford",
    "ProjectiveSplitting",
    "ProximalPoint",
    "Ryu",
]

"""Methods for the fixed points of any map: what they prove depends on the map, and they say it."""

from monops.algorithms.fixed_points.broyden import Broyden
from monops.algorithms.fixed_points.newton_krylov import NewtonKrylov
from monops.algorithms.fixed_points.picard import Picard

__all__ = ["Broyden", "NewtonKrylov", "Picard"]

"""monops: monotone operators, resolvents, proxes and splitting methods that know their constants.

A problem is a sum of monotone operators and convex functions; ``solve`` finds a zero of it by a method whose theorem covers
it, ``explain`` says which methods those are and why.
"""

from monops import acceleration, algorithms, arrays, constants, errors, functions, linear, models, operators, theory
from monops.acceleration import *  # noqa: F403
from monops.algorithms import Algorithm, Assessment, Solution, assess
from monops.algorithms.cocoercive import *  # noqa: F403
from monops.algorithms.fixed_points import *  # noqa: F403
from monops.algorithms.lipschitz import *  # noqa: F403
from monops.algorithms.newton import *  # noqa: F403
from monops.algorithms.primal_dual import *  # noqa: F403
from monops.algorithms.resolvents import *  # noqa: F403
from monops.algorithms.stochastic import *  # noqa: F403
from monops.arrays import Blocks
from monops.constants import Constants
from monops.differentiate import differentiable_solve
from monops.doctor import Counterexample, FixedPointMap, Report, check
from monops.explain import best_step, explain, rate
from monops.functions import *  # noqa: F403
from monops.linear import *  # noqa: F403
from monops.models import *  # noqa: F403
from monops.operators import *  # noqa: F403
from monops.problem import Inclusion
from monops.result import Check, Result, Status
from monops.solve import solve
from monops.stopping import *  # noqa: F403

__version__ = "0.1.0"

__all__ = [
    "Blocks",
    "Check",
    "Constants",
    "Counterexample",
    "FixedPointMap",
    "Inclusion",
    "Report",
    "Result",
    "Status",
    "algorithms",
    "check",
    "arrays",
    "best_step",
    "constants",
    "differentiable_solve",
    "errors",
    "explain",
    "functions",
    "linear",
    "operators",
    "rate",
    "solve",
    "theory",
]
__all__ += [name for family in algorithms.FAMILIES for name in family.__all__]
__all__ += acceleration.__all__
__all__ += ["Algorithm", "Assessment", "Solution", "assess"]
__all__ += vars(functions)["__all__"]
__all__ += linear.__all__
__all__ += models.__all__
__all__ += operators.__all__

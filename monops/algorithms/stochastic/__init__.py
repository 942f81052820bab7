"""Methods that use one part of a sum, or one block of variables, at a time."""

from monops.algorithms.stochastic.randomized_coordinate import RandomizedCoordinate
from monops.algorithms.stochastic.saga import SAGA
from monops.algorithms.stochastic.stochastic_primal_dual import StochasticPrimalDual
from monops.algorithms.stochastic.svrg import SVRG

__all__ = ["SAGA", "SVRG", "RandomizedCoordinate", "StochasticPrimalDual"]

"""Methods for a term that is only monotone and Lipschitz: variational inequalities, saddle points, games."""

from monops.algorithms.lipschitz.forward_backward_forward import ForwardBackwardForward

__all__ = [
    "ForwardBackwardForward",
]

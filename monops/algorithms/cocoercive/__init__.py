"""Methods that take a cocoercive term by its forward value."""

from monops.algorithms.cocoercive.accelerated_forward_backward import AcceleratedForwardBackward
from monops.algorithms.cocoercive.davis_yin import DavisYin
from monops.algorithms.cocoercive.forward_backward import ForwardBackward

__all__ = [
    "AcceleratedForwardBackward",
    "DavisYin",
    "ForwardBackward",
]

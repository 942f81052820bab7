"""Methods that take a cocoercive term by its forward value."""

from monops.algorithms.cocoercive.accelerated_forward_backward import AcceleratedForwardBackward
from monops.algorithms.cocoercive.adaptive_accelerated_forward_backward import AdaptiveAcceleratedForwardBackward
from monops.algorithms.cocoercive.adaptive_davis_yin import AdaptiveDavisYin
from monops.algorithms.cocoercive.adaptive_proximal_gradient import AdaptiveProximalGradient
from monops.algorithms.cocoercive.davis_yin import DavisYin
from monops.algorithms.cocoercive.forward_backward import ForwardBackward
from monops.algorithms.cocoercive.forward_step import ForwardStep
from monops.algorithms.cocoercive.generalized_forward_backward import GeneralizedForwardBackward
from monops.algorithms.cocoercive.inertial_forward_backward import InertialForwardBackward
from monops.algorithms.cocoercive.strongly_convex_forward_backward import StronglyConvexForwardBackward

__all__ = [
    "AcceleratedForwardBackward",
    "AdaptiveAcceleratedForwardBackward",
    "AdaptiveDavisYin",
    "AdaptiveProximalGradient",
    "DavisYin",
    "ForwardBackward",
    "ForwardStep",
    "GeneralizedForwardBackward",
    "InertialForwardBackward",
    "StronglyConvexForwardBackward",
]

"""Methods for a term that is only monotone and Lipschitz: variational inequalities, saddle points, games."""

from monops.algorithms.lipschitz.anchored_extragradient import AnchoredExtragradient
from monops.algorithms.lipschitz.extragradient import Extragradient
from monops.algorithms.lipschitz.forward_backward_forward import ForwardBackwardForward
from monops.algorithms.lipschitz.forward_backward_forward_line_search import ForwardBackwardForwardLineSearch
from monops.algorithms.lipschitz.forward_reflected_backward import ForwardReflectedBackward
from monops.algorithms.lipschitz.golden_ratio import GoldenRatio
from monops.algorithms.lipschitz.popov import Popov
from monops.algorithms.lipschitz.projected_reflected_gradient import ProjectedReflectedGradient

__all__ = [
    "AnchoredExtragradient",
    "Extragradient",
    "ForwardBackwardForward",
    "ForwardBackwardForwardLineSearch",
    "ForwardReflectedBackward",
    "GoldenRatio",
    "Popov",
    "ProjectedReflectedGradient",
]

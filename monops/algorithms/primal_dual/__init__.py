"""Methods that split off linear maps and update a primal and a dual point, and the alternating directions among them.

The primal-dual forward-backward-forward method of Combettes and Pesquet (2012) is `ForwardBackwardForward`, in the family of
Lipschitz operators: it splits terms with linear maps in the same way.
"""

from monops.algorithms.primal_dual.accelerated_chambolle_pock import AcceleratedChambollePock
from monops.algorithms.primal_dual.adaptive_admm import AdaptiveADMM
from monops.algorithms.primal_dual.adaptive_chambolle_pock import AdaptiveChambollePock
from monops.algorithms.primal_dual.adaptive_primal_dual import AdaptivePrimalDual
from monops.algorithms.primal_dual.adaptive_primal_dual_line_search import AdaptivePrimalDualLineSearch
from monops.algorithms.primal_dual.admm import ADMM
from monops.algorithms.primal_dual.chambolle_pock import ChambollePock
from monops.algorithms.primal_dual.chambolle_pock_line_search import ChambollePockLineSearch
from monops.algorithms.primal_dual.condat_vu import CondatVu
from monops.algorithms.primal_dual.consensus_admm import ConsensusADMM
from monops.algorithms.primal_dual.linearized_admm import LinearizedADMM
from monops.algorithms.primal_dual.preconditioned_chambolle_pock import PreconditionedChambollePock
from monops.algorithms.primal_dual.primal_dual_three_operator import PrimalDualThreeOperator
from monops.algorithms.primal_dual.restarted_chambolle_pock import RestartedChambollePock
from monops.algorithms.primal_dual.sharing_admm import SharingADMM

__all__ = [
    "ADMM",
    "AcceleratedChambollePock",
    "AdaptiveADMM",
    "AdaptiveChambollePock",
    "AdaptivePrimalDual",
    "AdaptivePrimalDualLineSearch",
    "ChambollePock",
    "ChambollePockLineSearch",
    "CondatVu",
    "ConsensusADMM",
    "LinearizedADMM",
    "PreconditionedChambollePock",
    "PrimalDualThreeOperator",
    "RestartedChambollePock",
    "SharingADMM",
]

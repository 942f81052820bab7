"""Methods that split off linear maps and update a primal and a dual point."""

from monops.algorithms.primal_dual.accelerated_chambolle_pock import AcceleratedChambollePock
from monops.algorithms.primal_dual.adaptive_chambolle_pock import AdaptiveChambollePock
from monops.algorithms.primal_dual.chambolle_pock import ChambollePock
from monops.algorithms.primal_dual.chambolle_pock_line_search import ChambollePockLineSearch
from monops.algorithms.primal_dual.condat_vu import CondatVu
from monops.algorithms.primal_dual.preconditioned_chambolle_pock import PreconditionedChambollePock
from monops.algorithms.primal_dual.primal_dual_three_operator import PrimalDualThreeOperator
from monops.algorithms.primal_dual.restarted_chambolle_pock import RestartedChambollePock

__all__ = [
    "AcceleratedChambollePock",
    "AdaptiveChambollePock",
    "ChambollePock",
    "ChambollePockLineSearch",
    "CondatVu",
    "PreconditionedChambollePock",
    "PrimalDualThreeOperator",
    "RestartedChambollePock",
]

"""Picard's iteration on a chain without feedback: exact after as many steps as there are blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from torch import Tensor

from monops.algorithms import Algorithm, Solution
from monops.algorithms.fixed_points import Picard
from monops.operators.fixed_point import FixedPoint
from monops.problem import Inclusion, Term
from monops.theory import Missing
from monops_nn.operators import ActivationDerivative, ActivationOperator, CoupledDerivative, EquilibriumOperator
from monops_nn.stacking.system import ChainSystem

PICARD = Picard()


@final
@dataclass(frozen=True)
class ChainPicard(Algorithm):
    """`Picard` on z -> sigma(W z + c), and on u -> J (W' u + g) backward, for a W without blocks on the diagonal.

    Raises
    ------
    NotApplicableError
        When W is no chain, or has blocks on the diagonal.

    Notes
    -----
    After k steps from any start the first k blocks are those of the equilibrium, because block i reads block i - 1 only: the
    iteration ends after d steps, and the residual is then 0 in floating-point numbers too. The step is 1. **Cost** one product.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models, Theorem 1.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.stacking import stack_feedforward
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> solution = stack_feedforward(net).solve(torch.randn(5, 3))
    >>> solution.algorithm, int(solution.iterations.max()), float(solution.residual.max())
    (ChainPicard(), 2, 0.0)
    """

    cost: ClassVar[str] = "1 product with W"
    steps_a_check: ClassVar[int] = 1
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Any:
        summands = [term.summand for term in problem.terms]
        linear = next((s for s in summands if isinstance(s, EquilibriumOperator)), None)
        kinds = (ActivationOperator, ActivationDerivative, CoupledDerivative)
        bend = next((s for s in summands if isinstance(s, kinds)), None)
        if linear is None or bend is None or not (isinstance(linear.system, ChainSystem) and linear.system.is_nilpotent):
            self.refuse(Missing("W is no chain of blocks that read the one before only", "use PeacemanRachford"))

        def image(z: Tensor) -> Tensor:
            value: Tensor = bend.resolvent(linear.preactivation(z), 1.0)
            return value

        return PICARD.match(Inclusion((Term(FixedPoint(image)),), problem.batch_ndim))

    def init(self, terms: Any, x0: Tensor) -> Any:
        return PICARD.init(terms, x0)

    def step(self, terms: Any, state: Any) -> Any:
        return PICARD.step(terms, state)

    def solution(self, terms: Any, state: Any) -> Solution:
        return PICARD.solution(terms, state)

    def certificate(self, terms: Any, state: Any) -> Tensor:
        residual: Tensor = PICARD.certificate(terms, state)
        return residual

"""Semismooth Newton for small dense layers: ReLU's active set in a handful of batched solves, safeguarded by Tseng's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor

from monops.algorithms import Algorithm, Solution
from monops.algorithms.lipschitz import forward_backward_forward
from monops.constants import Constants
from monops.linear import Diagonal
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing
from monops_nn.operators import ActivationDerivative, ActivationOperator, CoupledDerivative, EquilibriumOperator
from monops_nn.systems.dense import DenseSystem

LARGEST = 512  # features: a step solves one such system a row
DECREASE = 0.9  # a Newton point is kept where it brings the residual below so much of the least one before
TSENG_STEPS = 5  # taken in place of a Newton point that is not


class Terms(NamedTuple):
    """The two summands, W (or W'), and the step of the safeguard."""

    linear: EquilibriumOperator
    bend: Any
    matrix: Tensor
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The point of each row, and the least residual that a kept point had."""

    z: Tensor
    best: Tensor


@final
@dataclass(frozen=True)
class LayerNewton(Algorithm):
    """z+ = z - (I - J W)^-1 (z - sigma(W z + c)) for every row, J an element of the derivative of sigma at W z + c.

    Raises
    ------
    NotApplicableError
        When W is not dense, has more than 512 features, or the activation couples entries.

    Notes
    -----
    I - J W is nonsingular for every J in [0, 1], because I - W is strongly monotone. A Newton point is kept where its residual
    |z - sigma(W z + c)| is at most 0.9 times the least one kept; else the row takes five steps of forward-backward-forward.
    So either kept residuals fall geometrically, or Tseng's steps alone converge. For ReLU the active set is found in a few
    steps, and the point is then exact to rounding. The backward pass is one step. **Cost** one solve n x n a row, n^3/3.

    References
    ----------
    Qi and Sun (1993), A nonsmooth version of Newton's method. Winston and Kolter (2020), Theorem 2. Tseng (2000).

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> _ = torch.manual_seed(0)
    >>> layer = MonDEQ(MonotoneLinear(8, dtype=torch.float64), injection=3, algorithm=LayerNewton(), tol=1e-14)
    >>> solution = layer.solve(torch.randn(5, 3, dtype=torch.float64))
    >>> bool(solution.iterations.max() < 10), bool(solution.residual.max() < 1e-14)
    (True, True)
    """

    cost: ClassVar[str] = "1 solve with I - J W"
    steps_a_check: ClassVar[int] = 1
    has_linear_rate: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        linear, bend = _parts(problem)
        if linear is None or not isinstance(linear.system, DenseSystem):
            self.refuse(Missing("W is not dense", "use PeacemanRachford, or a dense parametrisation"))
        if linear.system.size > LARGEST:
            self.refuse(Missing(f"W has more than {LARGEST} features", "use PeacemanRachford"))
        if isinstance(bend, CoupledDerivative) or bend is None:
            self.refuse(Missing("the activation couples entries", "use PeacemanRachford, or one that acts entry by entry"))
        proven = forward_backward_forward.guarantee(bend.constants, linear.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        W = linear.system.weights[0].detach()
        matrix = W.mT if linear.adjoint else W
        return Terms(linear, bend, matrix, proven.resolve(None, self.name), proven, linear.constants, ())

    def init(self, terms: Terms, x0: Tensor) -> State:
        return State(x0, torch.full(x0.shape[:1], torch.inf, dtype=x0.dtype, device=x0.device))

    def step(self, terms: Terms, state: State) -> State:
        z, miss = state.z, self.certificate(terms, state)
        slope = _slope(terms, z)
        identity = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        systems = identity - slope[:, :, None] * terms.matrix
        moved = torch.linalg.solve_ex(systems, miss[:, :, None])[0]  # singular only through NaN, which stays in its row
        newton = z - moved[:, :, 0]
        left = torch.linalg.vector_norm(self.certificate(terms, State(newton, state.best)), dim=1)
        here = torch.linalg.vector_norm(miss, dim=1)
        best = torch.minimum(state.best, here)
        kept = (left <= DECREASE * best) | (left == 0)
        plain = z if bool(kept.all()) else _tseng(terms, z)
        return State(torch.where(kept[:, None], newton, plain), torch.where(kept, left, best))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.z, None)

    def certificate(self, terms: Terms, state: State) -> Tensor:
        image: Tensor = terms.bend.resolvent(terms.linear.preactivation(state.z), 1.0)
        return state.z - image


def _parts(
    problem: Inclusion,
) -> tuple[EquilibriumOperator | None, ActivationOperator | ActivationDerivative | CoupledDerivative | None]:
    summands = [term.summand for term in problem.terms]
    linear = next((s for s in summands if isinstance(s, EquilibriumOperator)), None)
    kinds = (ActivationOperator, ActivationDerivative, CoupledDerivative)
    bend = next((s for s in summands if isinstance(s, kinds)), None)
    if isinstance(bend, ActivationOperator) and linear is not None and isinstance(linear.system, DenseSystem):
        at = torch.zeros(1, linear.system.size, dtype=linear.system.weights[0].dtype, device=linear.system.weights[0].device)
        bend = bend if isinstance(bend.derivative(at, 1.0), Diagonal) else None
    return linear, bend


def _slope(terms: Terms, z: Tensor) -> Tensor:
    if isinstance(terms.bend, ActivationDerivative):
        return terms.bend.slope
    slope: Tensor = terms.bend.derivative(terms.linear.preactivation(z), 1.0).diagonal
    return slope


def _tseng(terms: Terms, z: Tensor) -> Tensor:
    a = terms.step_size
    for _ in range(TSENG_STEPS):
        Fz = terms.linear.forward(z)
        y = terms.bend.resolvent(z - a * Fz, a)
        z = y - a * (terms.linear.forward(y) - Fz)
    return z

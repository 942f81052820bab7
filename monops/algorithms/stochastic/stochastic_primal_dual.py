"""Stochastic primal-dual hybrid gradient for 0 in Ax + sum_i K_i* B_i K_i x, one dual block at a time (Chambolle et al. 2018).

x+ = J_{tA}(x - t zbar);  for one i drawn at random among N:  y_i+ = J_{s B_i^-1}(y_i + s K_i x+),  d = K_i*(y_i+ - y_i),
z+ = z + d,  zbar+ = z+ + N d,  where z = sum_i K_i* y_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import require_resolvent, zero
from monops.algorithms.shared.finite_sums import Composite, Part, as_part, check_minibatch, composite, rows, total_gradient
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.functions import Function
from monops.linear import Identity
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(norm: Number, dual_step_size: Number, probability: Number) -> Guarantee:
    """step * dual_step * |K_i|^2 < p_i = 1/N for the largest |K_i|."""
    free = norm == 0
    bound = math.inf if free else probability / (dual_step_size * norm**2)
    return Guarantee(
        interval=(0, bound),
        best_step=1.0 if free else 0.99 * bound,
        formula="0 < step_size*dual_step_size*norm**2 < probability",
        rate="Bregman distance of averages O(1/k) in expectation",
        source="Chambolle-Ehrhardt-Richtarik-Schonlieb (2018)",
    )


class Terms(NamedTuple):
    """A, the blocks B_i and K_i, the inverses of B_i, and the resolved numbers."""

    primal: Any
    blocks: tuple[Part, ...]
    inverses: tuple[Any, ...]
    step_size: float
    dual_step_size: float
    seed: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, what its resolvent was applied to, the y_i, an element of B_i^-1 y_i each, z, zbar, and the epoch."""

    x: Array
    argument: Array
    y: Array
    elements: Array
    z: Array
    extrapolated: Array
    epoch: int


@final
@dataclass(frozen=True)
class StochasticPrimalDual(Algorithm):
    """Chambolle-Pock with one of N dual blocks an update; a step is an epoch, N draws.

    Parameters
    ----------
    step_size, dual_step_size : float, optional
        step_size * dual_step_size * max |K_i|^2 < 1/N. Default: the dual step 1/max |K_i|, and the step 0.99 of its bound.
    minibatch : int, optional
        The blocks are the terms with linear maps, the parts of a Stack, and slices of at most this many rows of
        LeastSquares(A, b) or of f @ A with separable f and a matrix A. Default: 1/32 of the rows.
    seed : int
        Epoch k draws from ``np.random.default_rng((seed, k))``: a resumed run draws the same blocks.

    Raises
    ------
    NotApplicableError
        When there is only one block, or a prox is missing.
    StepSizeError
        When a step is outside the proven interval.

    Notes
    -----
    **Certificate** with x = J_{step A}(w) and the elements u_i of B_i^-1 y_i that the last update of each block gave: ((w -
    x)/step + sum K_i* y_i, u_i - K_i x), an element of the primal-dual operator (Ax + sum K_i* y_i, B_i^-1 y_i - K_i x), not
    random. **Cost** of a step: as much as one Kx and one K*y, and N resolvents of A. The guarantee speaks of expectations. Rows
    of a batch share the draws.

    References
    ----------
    Chambolle, Ehrhardt, Richtarik and Schonlieb (2018), Stochastic primal-dual hybrid gradient algorithm with arbitrary
    sampling and imaging applications.

    Examples
    --------
    >>> import numpy as np, monops
    >>> D = np.diff(np.eye(4), axis=0)
    >>> problem = monops.SquaredL2().translate(np.array([0.0, 0.1, 1.0, 0.9])) + 0.1 * monops.L1Norm() @ D
    >>> np.round(monops.solve(problem, monops.StochasticPrimalDual()).x, 4)
    array([0.1, 0.1, 0.9, 0.9])
    """

    step_size: float | None = None
    dual_step_size: float | None = None
    minibatch: int | None = None
    seed: int = 0
    cost: ClassVar[str] = "1 Kx and 1 K*y in N blocks (1 epoch), 1 resolvent of every B, N resolvents of A"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 30000
    steps_a_check: ClassVar[int] = 1
    is_candidate: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        bad = check_minibatch(self.minibatch)
        if bad is not None:
            self.refuse(bad)
        primal, pairs = self._roles(problem)
        blocks = tuple(as_part(pair) for pair in pairs)
        norms = [block.map.norm for block in blocks if block.map is not None]
        largest = max(norms, key=lambda known: known.value)
        dual_step = 1.0 / float(largest.value) if largest.value > 0 else 1.0
        if self.dual_step_size is not None:
            free = Guarantee((0, math.inf), 1.0, "0 < dual_step_size", "", "Chambolle et al. (2018)")
            dual_step = free.resolve(self.dual_step_size, self.name, "dual_step_size")
        proven = guarantee(largest.value, dual_step, 1 / len(blocks))
        step = proven.resolve(self.step_size, self.name)
        known = [block.function.constants for block in blocks]
        skew = Constants(
            lipschitz=sum(float(norm.value) ** 2 for norm in norms) ** 0.5, affine=True, skew=True, why=largest.why
        )
        product = calculus.product([primal.constants, *(calculus.inverse(constants) for constants in known)])
        inverses = tuple(
            block.function.conjugate() if isinstance(block.function, Function) else block.function.inverse() for block in blocks
        )
        remarks = notes(primal.constants, *known, *norms)
        total = calculus.add(product, skew)
        return Terms(primal, blocks, inverses, step, dual_step, int(self.seed), proven, total, remarks)

    def _roles(self, problem: Inclusion) -> tuple[Any, list[Composite]]:
        """A by its resolvent, and the blocks; a second term without a map takes the identity as its map."""
        simple: list[Any] = []
        pairs: list[Composite] = []
        for term in problem.terms:
            pair = composite(term)
            if pair.map is None:
                simple.append(pair.function)
            else:
                pairs += rows(pair, self.minibatch) or [pair]
        if len(simple) > 1 and problem.input_shape is None:
            self.refuse(Missing("the shape of x is not known from the data", "write all terms but one as f @ Identity(shape)"))
        pairs += [Composite(operator, Identity(problem.input_shape)) for operator in simple[1:]]
        for operator in [*simple[:1], *(pair.function for pair in pairs)]:
            missing = require_resolvent(operator, None)
            if missing is not None:
                self.refuse(missing)
        if len(pairs) < 2:
            number = "no term contains" if not pairs else "only one block contains"
            self.refuse(Missing(f"{number} a linear map that could be drawn", "use ChambollePock or DouglasRachford"))
        return simple[0] if simple else zero(problem), pairs

    def init(self, terms: Terms, x0: Array) -> State:
        if isinstance(x0, Blocks):
            raise DataError("x0 of a problem with linear maps is the primal point alone: pass one array")
        y, elements = [], []
        for block, inverse in zip(
            terms.blocks, terms.inverses, strict=True
        ):  # so that every block has an element of B_i^-1 y_i
            image = block.apply(x0)
            argument = terms.dual_step_size * image
            y.append(inverse.resolvent(argument, terms.dual_step_size))
            elements.append((argument - y[-1]) / terms.dual_step_size)
        z = total_gradient(terms.blocks, y)
        return State(x0, x0, Blocks(y), Blocks(elements), z, z, 0)

    def step(self, terms: Terms, state: State) -> State:
        x, argument, _, _, z, extrapolated, epoch = state
        y, elements, count = list(state.y), list(state.elements), len(terms.blocks)
        step, dual_step = terms.step_size, terms.dual_step_size
        for index in np.random.default_rng((terms.seed, epoch)).integers(count, size=count).tolist():
            argument = x - step * extrapolated
            x = terms.primal.resolvent(argument, step)
            block, old = terms.blocks[index], y[index]
            image = block.apply(x)
            new = terms.inverses[index].resolvent(old + dual_step * image, dual_step)
            y[index], elements[index] = new, (old - new) / dual_step + image
            change = block.adjoint(new - old)
            z = z + change
            extrapolated = z + float(count) * change
        return State(x, argument, Blocks(y), Blocks(elements), z, extrapolated, epoch + 1)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        primal = (state.argument - state.x) / terms.step_size + total_gradient(terms.blocks, state.y)
        gaps = [element - block.apply(state.x) for element, block in zip(state.elements, terms.blocks, strict=True)]
        return Blocks((primal, *gaps))

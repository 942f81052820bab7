"""Block coordinate proximal gradient for min f(Ax) + h(x) + g(x), blocks in a new random order in every epoch.

For each block j of coordinates:  x_j+ = prox_{t_j g_j}(x_j - t_j (A_j* grad f(Ax) + grad h_j(x_j))),  t_j = step_size/L_j, with
L_j = L_f |A_j|^2 + L_h and Ax kept up to date (Nesterov 2012; Richtarik and Takac 2014; Beck and Tetruashvili 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import arrays
from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import alone, describe, forward_operator, require_resolvent
from monops.algorithms.shared.finite_sums import check_minibatch, composite, pieces, slices
from monops.arrays import Array
from monops.constants import Constants
from monops.linear import LinearMap, Matrix, SparseMatrix
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing

DEFAULT_BLOCKS = 32
REFRESH = 20  # epochs after which Ax is computed anew, against the rounding of many small updates


def guarantee() -> Guarantee:
    """Steps up to 1/L_j of each block, for every order of the blocks: each move lowers the objective."""
    return Guarantee(
        interval=(0, 1),
        best_step=1.0,
        formula="0 < step_size <= 1",
        rate="objective gap O(1/k), for every order",
        source="Hong-Wang-Razaviyayn-Luo (2017)",
        upper_included=True,
    )


class Block(NamedTuple):
    """Coordinates ``cut``, the columns A_j, the smooth h_j and the simple g_j there (or None), and t_j."""

    cut: slice
    columns: LinearMap
    smooth: tuple[Any, ...]
    simple: Any | None
    step_size: float


class Terms(NamedTuple):
    """f, A, the blocks, the sum of the smooth terms, and the resolved numbers; ``step_size`` is a multiple of 1/L_j."""

    loss: Any
    map: LinearMap
    blocks: tuple[Block, ...]
    smooth: Any
    step_size: float
    seed: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, Ax, the subgradient of g that the last moves found, and the epoch."""

    x: Array
    image: Array
    subgradient: Array
    epoch: int


@final
@dataclass(frozen=True)
class RandomizedCoordinate(Algorithm):
    """One block of coordinates at a time, with its own Lipschitz constant; a step is an epoch, every block once.

    Parameters
    ----------
    step_size : float, optional
        As a multiple of 1/L_j; in (0, 1]. Default: 1.
    block_size : int, optional
        The coordinates are cut into slices of at most this length. Default: 1/32 of them.
    seed : int
        The order in epoch k is drawn from ``np.random.default_rng((seed, k))``: a resumed run takes the same order.

    Raises
    ------
    NotApplicableError
        When there is not exactly one smooth term f(Ax) with a matrix A, or another term is not separable.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    **Certificate** p + the full gradient at x, with the subgradients p_j of g_j at x_j that the proxes of the epoch gave: an
    element of the sum, not random. **Cost** of a step: one pass over A for A_j x_j and one for A_j*, a gradient of f for each
    block, and proxes of g for all coordinates. The objective falls in every move, whatever is drawn.

    References
    ----------
    Nesterov (2012), Efficiency of coordinate descent methods on huge-scale optimization problems. Richtarik and Takac (2014),
    Iteration complexity of randomized block-coordinate descent methods. Hong, Wang, Razaviyayn and Luo (2017), Iteration
    complexity analysis of block coordinate descent methods.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(4), np.array([3.0, 0.5, -2.0, 0.0])) + monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.RandomizedCoordinate(block_size=1)).x, 5) + 0.0
    array([ 2.,  0., -1.,  0.])
    """

    step_size: float | None = None
    block_size: int | None = None
    seed: int = 0
    cost: ClassVar[str] = "1 Ax and 1 A* in blocks (1 epoch), a gradient of f for each block, 1 prox of g"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 10000
    steps_a_check: ClassVar[int] = 1
    is_candidate: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        bad = check_minibatch(self.block_size)
        if bad is not None:
            self.refuse(Missing(f"block_size={self.block_size!r} is no number of coordinates", bad.way_out))
        coupled, separable, simple = self._sorted(problem)
        pair: Any = composite(coupled)
        loss, K = pair
        length = int(K.matrix.shape[1])
        cuts = slices(length, self.block_size or math.ceil(length / DEFAULT_BLOCKS))
        like = K.matrix if isinstance(K, Matrix) else K.matrix.data
        apart = [self._pieces(term, cuts, like) for term in separable]
        proxes = [None] * len(cuts) if simple is None else self._pieces(simple, cuts, like)
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        blocks = []
        for index, cut in enumerate(cuts):
            columns = type(K)(K.matrix[:, cut])
            own = tuple(part[index] for part in apart)
            L = loss.constants.lipschitz * columns.norm.value**2 + sum(part.constants.lipschitz for part in own)
            blocks.append(Block(cut, columns, own, proxes[index], step / float(L) if L > 0 else 1.0))
        smooth = forward_operator((coupled, *separable))
        known = [part.constants for part in (coupled, *separable, *([] if simple is None else [simple]))]
        total = reduce(calculus.add, known)
        return Terms(loss, K, tuple(blocks), smooth, step, int(self.seed), proven, total, notes(*known))

    def _sorted(self, problem: Inclusion) -> tuple[Term, list[Term], Term | None]:
        """The one term f(Ax), the separable smooth terms, and the one that goes by its prox (or None)."""
        coupled: list[Term] = []
        smooth: list[Term] = []
        simple: list[Term] = []
        for term in problem.terms:
            lipschitz, pair = term.constants.lipschitz, composite(term)
            is_smooth = term.has_forward and term.constants.cyclic and lipschitz is not None and lipschitz < math.inf
            if pair.map is not None:
                if not is_smooth or not isinstance(pair.map, (Matrix, SparseMatrix)):
                    self.refuse(_no_columns(term))
                coupled.append(term)
            else:
                (smooth if is_smooth else simple).append(term)
        if len(coupled) != 1:
            self.refuse(
                Missing(
                    f"{len(coupled)} terms are smooth functions of Ax with a matrix A, one is needed",
                    "write one as LeastSquares(A, b) or f @ A, or use AcceleratedForwardBackward",
                )
            )
        for term in simple:
            missing = require_resolvent(alone(term), "lipschitz")
            if missing is not None:
                self.refuse(missing)
        if len(simple) > 1:
            self.refuse(Missing(f"{len(simple)} terms need their proxes, one is allowed", "use DavisYin or DouglasRachford"))
        if not simple and smooth and smooth[0].has_resolvent:  # then its curvature need not shorten the steps
            simple.append(smooth.pop(0))
        return coupled[0], smooth, simple[0] if simple else None

    def _pieces(self, term: Term, cuts: Sequence[slice], like: Any) -> list[Any]:
        found = pieces(term.summand, cuts, like)
        if found is None:
            self.refuse(
                Missing(
                    f"{describe(alone(term))} does not come apart into blocks of coordinates", "use AcceleratedForwardBackward"
                )
            )
        return found

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, terms.map.apply(x0), 0.0 * x0, 0)

    def step(self, terms: Terms, state: State) -> State:
        x, image, _, epoch = state
        if epoch % REFRESH == REFRESH - 1:
            image = terms.map.apply(x)
        points = [x[..., block.cut] for block in terms.blocks]
        subgradients = list(points)
        for index in np.random.default_rng((terms.seed, epoch)).permutation(len(points)).tolist():
            _, columns, smooth, simple, step = terms.blocks[index]
            old = points[index]
            gradient = columns.adjoint(terms.loss.gradient(image))
            for part in smooth:
                gradient = gradient + part.gradient(old)
            argument = old - step * gradient
            new = argument if simple is None else simple.prox(argument, step)
            image = image + columns.apply(new - old)
            points[index], subgradients[index] = new, (argument - new) / step
        xp = arrays.namespace(x)
        return State(xp.concat(points, axis=-1), image, xp.concat(subgradients, axis=-1), epoch + 1)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.subgradient + terms.smooth.forward(state.x)


def _no_columns(term: Term) -> Missing:
    return Missing(
        f"{term} is no smooth function of Ax with a dense or sparse matrix A", "use ChambollePock or AcceleratedForwardBackward"
    )

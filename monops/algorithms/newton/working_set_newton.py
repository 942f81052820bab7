"""Newton steps on a growing working set, for a smooth function of Ax plus a separable one with kinks or bounds.

    minimise h(Ax) + g(x),  h twice differentiable and separable, g separable or a sum of norms of disjoint groups.

One pass A* h'(Ax) scores each coordinate by the distance of the negative gradient from dg; the worst join the working set W.
On W the quadratic model of h(Ax) plus g is minimised (accelerated steps, then projected Newton steps: `piecewise_newton`) to
a part of the violation outside of W; for an h that is not quadratic again and again, each time followed by a line search on
the objective (proximal Newton: Lee, Sun and Saunders 2014). W only grows, so that finitely many passes suffice (Johnson and
Guestrin 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import scipy.sparse

from monops import arrays
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.free_constants import free_constants
from monops.algorithms.shared.piecewise_newton import SUFFICIENT
from monops.algorithms.shared.working_set_penalties import Entries, Groups, penalty_of
from monops.algorithms.shared.working_sets import columns_of, put, take, transposed, weighted_gram
from monops.arrays import Array
from monops.constants import Constants
from monops.functions import LeastSquares
from monops.functions.separable import Separable
from monops.linear import LinearMap, Matrix, SparseMatrix
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing

FIRST = 100  # coordinates of the first working set
LARGEST = 5000  # coordinates for whose Gram matrix there is room
BOUNDED = 7.0  # passes where bounds keep out too few columns for a part of the Gram matrix to cost less than all of it
PART, LEAST_PART = 0.1, 1e-3  # of the violation outside of W, and of that before, may be left inside


def guarantee() -> Guarantee:
    """Each pass lowers the objective; the working set grows until it holds every coordinate that violates optimality."""
    return Guarantee(
        interval=(0, 1),
        best_step=1.0,
        formula="0 < step_size <= 1",
        rate="finitely many working sets; locally quadratic on the last",
        source="Johnson-Guestrin (2015); Lee-Sun-Saunders (2014)",
        upper_included=True,
    )


@dataclass(frozen=True, eq=False)
class SquaredDistance:
    """h(z) = 1/2 |z - b|^2, the least squares in the form that the method takes."""

    b: Array

    def slope(self, z: Array) -> Array:
        """h'."""
        return z - self.b


@dataclass(frozen=True, eq=False)
class Loss:
    """h from a separable smooth function."""

    function: Separable

    def slope(self, z: Array) -> Array:
        """h'."""
        return self.function.entry_slope(z)


class Terms(NamedTuple):
    """The map A, the loss h (its curvature is 1 for least squares), the penalty g."""

    map: Any
    loss: SquaredDistance | Loss
    penalty: Entries | Groups
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, A* h'(Ax), Ax; the working set, its columns and Gram matrix (dense least squares); the least violation, if it
    stalled.
    """

    x: Array
    gradient: Array
    image: Array
    indices: np.ndarray[Any, Any]
    columns: Array
    gram: Array
    stalled: np.ndarray[Any, Any]


@final
@dataclass(frozen=True)
class WorkingSetNewton(Algorithm):
    """Passes over A choose coordinates, Newton steps on those solve the rest: lasso, elastic net, sparse logistic regression,
    ...

    Parameters
    ----------
    step_size : float, optional
        Length of a Newton step that the line search tries first, in (0, 1]. Default: 1.

    Raises
    ------
    NotApplicableError
        When the problem is not a twice differentiable function of a dense or sparse matrix times x plus one separable function
        with a kink or a bound, or a TreeGroupL2 of disjoint groups; or has batch rows.

    Notes
    -----
    **Certificate** A* h'(Ax) + v with v in dg(x) nearest to -A* h'(Ax): the least element of the sum. **Cost** one product
    with A*, a Gram block m k^2 of the k coordinates in play, a few Cholesky factorisations of order k; no norm of A is
    computed. Where g leaves most coordinates free, or A is tall and well conditioned, AcceleratedForwardBackward costs less.

    References
    ----------
    Johnson and Guestrin (2015), Blitz: a principled meta-algorithm for scaling sparse optimization. Lee, Sun and Saunders
    (2014), Proximal Newton-type methods for minimizing composite functions. Bertsekas (1982), Projected Newton methods.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> monops.solve(problem, monops.WorkingSetNewton()).x
    array([2., 0.])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 product with A*, Newton steps on the working set"
    evaluations: ClassVar[float] = 10.0
    typical_iterations: ClassVar[float] = 5
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        if problem.batch_ndim:
            self.refuse(Missing("the working sets of batch rows differ", "solve row by row, or use AcceleratedForwardBackward"))
        smooth = [found for term in problem.terms if (found := _smooth(term)) is not None]
        rest = [term for term in problem.terms if _smooth(term) is None]
        if len(smooth) != 1:
            self.refuse(
                Missing(
                    f"{len(smooth)} terms are a twice differentiable separable function of a matrix times x, one is needed",
                    "write it as LeastSquares(A, b) or as h @ A with a dense or sparse matrix A, or use "
                    "AcceleratedForwardBackward",
                )
            )
        if len(rest) != 1:
            self.refuse(
                Missing(
                    f"{len(rest)} terms stand beside the smooth one, and one separable function is needed",
                    "join them, for example ElasticNet(l1, l2) or combine(L1Norm(), Box(0.0, 1.0)), or use DavisYin",
                )
            )
        penalty = penalty_of(rest[0], smooth[0][0])
        if isinstance(penalty, Missing):
            self.refuse(penalty)
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        return Terms(smooth[0][0], smooth[0][1], penalty, step, proven, free_constants(problem), ())

    def expected_iterations(self, terms: Terms) -> float:
        bounded = isinstance(terms.penalty, Entries) and terms.penalty.function.is_indicator
        if not bounded or not isinstance(terms.map, Matrix) or not isinstance(terms.loss, SquaredDistance):
            return self.typical_iterations
        rows, columns = terms.map.matrix.shape
        return BOUNDED if columns <= min(rows, LARGEST) else self.typical_iterations

    def init(self, terms: Terms, x0: Array) -> State:
        x = terms.penalty.into_domain(x0)
        xp = arrays.namespace(x)
        if bool(xp.any(x != 0)):
            image = terms.map.apply(x)
        else:
            image = xp.zeros(terms.map.output_shape, dtype=x.dtype, device=arrays.device(x))
        empty = xp.zeros((0, 0), dtype=x.dtype, device=arrays.device(x))
        gradient = terms.map.adjoint(terms.loss.slope(image))
        return State(x, gradient, image, np.zeros(0, dtype=np.int32), empty, empty, np.asarray(False))

    def step(self, terms: Terms, state: State) -> State:
        if bool(state.stalled):
            return state
        violation = arrays.to_numpy(terms.penalty.distance(state.x, -state.gradient))
        worst = float(violation.max(initial=0.0))
        size = float(arrays.namespace(state.x).max(arrays.namespace(state.x).abs(state.gradient)))
        if not 16 * arrays.epsilon(state.x) * size < worst < math.inf:  # solved to rounding
            return state
        indices = self._working_set(terms, state, violation)
        if len(indices) > LARGEST:
            x = self._proximal_gradient(terms, state)
            return self._passed(terms, state, x, terms.map.apply(x), state.indices, state.columns, state.gram)
        outside = violation.copy()
        outside[indices] = 0.0
        tolerance = max(PART * float(outside.max(initial=0.0)), LEAST_PART * worst)
        if isinstance(terms.loss, SquaredDistance):
            new = self._least_squares(terms, state, indices, tolerance)
        else:
            new = self._proximal_newton(terms, state, indices, tolerance)
        left = float(arrays.norm(terms.penalty.distance(new.x, -new.gradient)))
        before = float(np.linalg.norm(violation))
        near = worst <= arrays.epsilon(state.x) ** 0.5 * size
        if near and len(indices) == len(state.indices) and not left < 0.9 * before:
            return (new if left < before else state)._replace(stalled=np.asarray(True))  # rounding decides from here
        return new

    def _working_set(self, terms: Terms, state: State, violation: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The working set so far, entries off the kinks, and the worst others: as many as there are entries off the kinks."""
        moving = terms.penalty.moving(state.x)
        taken = np.zeros(moving.shape, dtype=bool)
        taken[state.indices] = True
        joining = np.flatnonzero(moving & ~taken)
        taken[joining] = True
        score = np.where(taken, 0.0, violation)
        count = min(max(FIRST, int(np.count_nonzero(moving))), int(np.count_nonzero(score)))
        worst = np.argpartition(-score, count - 1)[:count] if count else np.zeros(0, dtype=np.int64)
        chosen = np.zeros(moving.shape, dtype=bool)
        chosen[worst] = True
        worst = np.flatnonzero(terms.penalty.completed(chosen) & ~taken)
        return np.concatenate([state.indices, joining, worst]).astype(np.int32)

    def _least_squares(self, terms: Terms, state: State, indices: np.ndarray[Any, Any], tolerance: float) -> State:
        """The model is exact: its Gram matrix is kept, and extended by the new columns."""
        xp = arrays.namespace(state.x)
        fresh = columns_of(terms.map, indices[len(state.indices) :], state.x)
        if scipy.sparse.issparse(fresh):
            columns, everything = state.columns, columns_of(terms.map, indices, state.x)
            gram = (everything.T @ everything).toarray()
        elif len(state.indices) == 0:
            columns = everything = fresh
            gram = transposed(fresh) @ fresh
        elif len(indices) == len(state.indices):
            columns, everything, gram = state.columns, state.columns, state.gram
        else:
            cross = transposed(state.columns) @ fresh
            gram = xp.concat(
                [
                    xp.concat([state.gram, cross], axis=1),
                    xp.concat([transposed(cross), transposed(fresh) @ fresh], axis=1),
                ],
                axis=0,
            )
            columns = everything = xp.concat([state.columns, fresh], axis=1)
        start, rank = take(state.x, indices), state.image.shape[0]
        penalty = terms.penalty.restrict(indices, state.x)
        dense = None if scipy.sparse.issparse(everything) else everything
        model = penalty.model(gram, take(state.gradient, indices), start, rank, dense)
        point = model.minimise(tolerance)
        image = state.image + everything @ (point - start)
        return self._passed(terms, state, put(state.x, indices, point), image, indices, columns, gram)

    def _proximal_newton(self, terms: Terms, state: State, indices: np.ndarray[Any, Any], tolerance: float) -> State:
        """Models of h on the working set, each followed by a line search; a Hessian is kept while it serves."""
        columns = columns_of(terms.map, indices, state.x)
        penalty = terms.penalty.restrict(indices, state.x)
        function = terms.loss.function  # type: ignore[union-attr]
        xp = arrays.namespace(state.x)
        x, image, gradient = take(state.x, indices), state.image, take(state.gradient, indices)
        hessian, before, rounding, previous = None, math.inf, False, (x, image)
        for _ in range(20):
            violation = float(xp.max(penalty.distance(x, -gradient)))
            if rounding and not violation < before:
                x, image = previous
                break
            if violation <= tolerance:
                break
            if hessian is None or violation > 0.3 * before:
                hessian = weighted_gram(columns, function.entry_curvature(image))
            before = violation
            model = penalty.model(hessian, gradient, x, state.image.shape[0])
            move = model.minimise(max(0.1 * tolerance, 0.01 * violation)) - x
            predicted = float(arrays.inner(gradient, move)) + penalty.change(x, move)
            length, rounding = self._searched(terms, penalty, x, move, image, columns @ move, predicted)
            if length == 0.0:
                break
            previous = (x, image)
            x, image = x + length * move, image + length * (columns @ move)
            slope = function.entry_slope(image)
            gradient = columns.T @ slope if scipy.sparse.issparse(columns) else slope @ columns
        return self._passed(terms, state, put(state.x, indices, x), image, indices, state.columns, state.gram)

    @staticmethod
    def _searched(
        terms: Terms, penalty: Entries | Groups, x: Array, move: Array, image: Array, image_move: Array, predicted: float
    ) -> tuple[float, bool]:
        """The first length at which the objective falls as predicted, or 0; and whether rounding is all that can be seen."""
        xp, function = arrays.namespace(x), terms.loss.function  # type: ignore[union-attr]
        values = function.entry_value(image)
        noise = float(xp.sum(xp.abs(values))) + penalty.size(x)
        if abs(predicted) <= 10 * arrays.epsilon(x) * noise:
            return terms.step_size, True
        length = terms.step_size
        for _ in range(30):
            if not predicted < 0.0:
                break
            risen = float(xp.sum(function.entry_value(image + length * image_move) - values))
            if risen + penalty.change(x, length * move) <= SUFFICIENT * length * predicted:
                return length, False
            length *= 0.5
        return 0.0, False

    def _proximal_gradient(self, terms: Terms, state: State) -> Array:
        """One step of the first-order method, backtracked until the objective falls as it must (Beck and Teboulle 2009)."""
        xp = arrays.namespace(state.x)
        image_of_gradient = terms.map.apply(state.gradient)
        curvature = self._curvature(terms, state.image, image_of_gradient)
        square = float(arrays.inner(state.gradient, state.gradient))
        step = square / curvature if curvature > 0 else 1.0
        for _ in range(60):
            new = terms.penalty.prox(state.x - step * state.gradient, step)
            move = new - state.x
            image_move = terms.map.apply(move)
            if isinstance(terms.loss, SquaredDistance):
                excess = 0.5 * float(arrays.inner(image_move, image_move))
            else:
                function = terms.loss.function
                values = function.entry_value(state.image + image_move) - function.entry_value(state.image)
                excess = float(xp.sum(values)) - float(arrays.inner(state.gradient, move))
            if excess <= 0.5 * float(arrays.inner(move, move)) / step:
                return new
            step *= 0.5
        return state.x

    @staticmethod
    def _curvature(terms: Terms, image: Array, direction: Array) -> float:
        if isinstance(terms.loss, SquaredDistance):
            return float(arrays.inner(direction, direction))
        return float(arrays.inner(terms.loss.function.entry_curvature(image) * direction, direction))

    def _passed(
        self,
        terms: Terms,
        state: State,
        x: Array,
        image: Array,
        indices: np.ndarray[Any, Any],
        columns: Array,
        gram: Array,
    ) -> State:
        gradient = terms.map.adjoint(terms.loss.slope(image))
        return State(x, gradient, image, indices, columns, gram, state.stalled)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.gradient + terms.penalty.nearest(state.x, -state.gradient)


def _smooth(term: Term) -> tuple[LinearMap, SquaredDistance | Loss] | None:
    """The matrix and the loss of a term h(Ax), or None."""
    function = term.summand
    linear_map = function.A if isinstance(function, LeastSquares) and term.map is None else term.map
    if not isinstance(linear_map, (Matrix, SparseMatrix)) or np.iscomplexobj(np.zeros(0, dtype=_dtype_name(linear_map))):
        return None
    if isinstance(function, LeastSquares):
        return (linear_map, SquaredDistance(function.b)) if term.map is None else None
    inner: Any = getattr(function, "function", function)
    usable = isinstance(function, Separable) and function.has_gradient and function.has_value and function.is_convex
    if usable and type(inner).entry_curvature is not Separable.entry_curvature:
        return linear_map, Loss(function)  # type: ignore[arg-type]
    return None


def _dtype_name(linear_map: Any) -> str:
    return str(linear_map.matrix.dtype).rsplit(".", 1)[-1]

"""Total variation on graphs: certified and, once the pieces are found, exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.compiled import compiled, has_compiler
from monops.functions.function import Function, Zero
from monops.functions.hosted import HostMap, self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.variation.gluing import Edges, Linearization, Pair, finish, gaps
from monops.functions.weights import check_weight
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "GraphTotalVariation",
]

FIRST_FINISH = 64  # iterations before the first attempt at an exact finish, at least; then at twice as many


@final
@dataclass(frozen=True, eq=False)
class GraphTotalVariation(Iterative):
    """f(x) = sum over edges e = (i, j) of weight_e |x_i - x_j|, x a value at each vertex along the last axis.

    Parameters
    ----------
    edges : array of int, shape (number of edges, 2), or a list of pairs
        Host data. Edges may repeat; their weights add.
    weight : float or array with one entry an edge, default 1
        At least 0.
    vertices : int, optional
        Number of vertices; default: one more than the largest in ``edges``.

    Notes
    -----
    prox: p = x - D'u, u the minimiser of |x - D'u|^2 over |u_e| <= step weight_e, D the incidence matrix. Accelerated projected
    gradients with restart in the metric of the degrees; then an exact finish: edges with |u_e| below the bound join their
    ends to pieces, a piece takes the value mean(x) plus (sum of the bounds that push it)/size, and the multipliers inside
    are moved to what that asks. The duality gap judges each attempt, so that a wrong guess costs time only. **Domain**
    everything. **Constants** mu = 0, not smooth; with a weight for each edge f is sum_e sqrt(2) weight_e-Lipschitz. **Cost**
    on the host, arrays of other libraries are copied: an iteration is two sparse products, a finish one sparse
    factorisation. **Derivative** of the prox: the mean over each piece; in weights: the pieces move by what their borders
    push.

    References
    ----------
    Beck and Teboulle (2009), A fast iterative shrinkage-thresholding algorithm. O'Donoghue and Candes (2015), Adaptive
    restart. Chambolle and Darbon (2009), On total variation minimization and surface evolution using parametric maximum
    flows.

    Examples
    --------
    >>> import numpy as np
    >>> f = GraphTotalVariation([(0, 1), (1, 2), (2, 0), (2, 3)])
    >>> np.round(f.prox(np.array([1.0, 2.0, 3.0, 9.0]), 1.0), 6) + 0.0
    array([2.333333, 2.333333, 2.333333, 8.      ])
    """

    size_floor: ClassVar[float] = 0.0

    edges: Any
    weight: Any = 1.0
    vertices: int | None = None

    def __post_init__(self) -> None:
        edges = np.asarray(arrays.to_numpy(self.edges) if arrays.is_array(self.edges) else self.edges)
        if edges.size == 0:
            edges = np.zeros((0, 2), dtype=np.int64)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
            raise DataError("GraphTotalVariation: edges must be pairs of integers, an array of shape (number of edges, 2)")
        vertices = int(edges.max(initial=-1)) + 1 if self.vertices is None else int(self.vertices)
        if edges.min(initial=0) < 0 or edges.max(initial=-1) >= vertices:
            raise DataError(f"GraphTotalVariation: edges must lie between 0 and vertices - 1 = {vertices - 1}")
        if np.any(edges[:, 0] == edges[:, 1]):
            raise DataError("GraphTotalVariation: an edge joins a vertex to itself: remove it, its difference is always 0")
        check_weight("GraphTotalVariation", self.weight)
        if shape_of(self.weight) not in ((), (1,), (len(edges),)):
            raise ShapeError(
                f"GraphTotalVariation: weight has shape {shape_of(self.weight)}: one entry for each of the {len(edges)} edges"
            )
        object.__setattr__(self, "edges", edges.astype(np.int64))
        object.__setattr__(self, "vertices", vertices)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        edges = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2], [4, 5], [3, 4]])
        weight = np.array([0.3, 0.1, 0.5, 0.2, 0.7, 0.4, 0.6])
        return (
            Sample(
                lambda a: cls(edges, 0.3),
                (6,),
                lambda cp, y: 0.3 * cp.norm1(y[edges[:, 0]] - y[edges[:, 1]]),
                accuracy=1e-9,
            ),
            Sample(
                lambda a: cls(edges, a(weight), 7),
                (2, 7),
                lambda cp, y: cp.sum(cp.abs(y[:, edges[:, 0]] - y[:, edges[:, 1]]) @ weight),
                accuracy=1e-9,
            ),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    @cached_property
    def _graph(self) -> Edges:
        assert self.vertices is not None
        return Edges(self.edges[:, 0], self.edges[:, 1], np.ones(len(self.edges)), self.vertices)

    @cached_property
    def _metric(self) -> np.ndarray:
        """Step of each multiplier: D D' is at most the diagonal of deg(i) + deg(j)."""
        degree = np.bincount(self.edges.ravel(), minlength=self._graph.nodes)
        return 1.0 / (degree[self.edges[:, 0]] + degree[self.edges[:, 1]])

    def _check(self, x: Array) -> None:
        if arrays.namespace(x).isdtype(x.dtype, "complex floating"):
            raise DataError("GraphTotalVariation: x is complex: take the real and the imaginary part as two points")
        if x.ndim == 0 or x.shape[-1] != self.vertices:
            raise ShapeError(
                f"GraphTotalVariation: x has shape {tuple(x.shape)}: its last axis must have the {self.vertices} vertices"
            )

    def __call__(self, x: Array) -> Array:
        self._check(x)
        xp = arrays.namespace(x)
        tails, heads = (arrays.from_numpy(self.edges[:, end], like=x, dtype=xp.int64) for end in (0, 1))
        moves = xp.take(x, tails, axis=-1) - xp.take(x, heads, axis=-1)
        return arrays.row_sum(self.weight * xp.abs(moves), self.batch_ndim)

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        self._check(x)
        target = self.target_error(x, tolerance)
        if x.size == 0:
            return CertifiedProx(x, 0.0 * target, 0.0 * target, 0, True)
        solved = self._solve(x, step, np.asarray(arrays.to_numpy(target), dtype=np.float64))
        point = arrays.from_numpy(solved.point.reshape(x.shape), like=x)
        bound, gap = (arrays.from_numpy(part, like=target) for part in (solved.error, solved.gap))
        return CertifiedProx(point, gap, bound, solved.iterations, solved.converged)

    def _solve(self, x: Array, step: Any, target: np.ndarray) -> Solved:
        """The prox of all rows at once: a batch is one graph that falls apart. Rows are divided by their size."""
        given = arrays.to_numpy(x).astype(np.float64).reshape(-1, self._graph.nodes)
        count = len(given)
        size = np.maximum(np.abs(given).max(axis=1), np.finfo(float).tiny)
        whole = np.isfinite(size)
        size = np.where(whole, size, 1.0)[:, None]
        rows = np.where(whole[:, None], given, 0.0) / size
        mean = rows.mean(axis=1, keepdims=True)
        rows = rows - mean
        weight = np.asarray(arrays.to_numpy(self.weight) if arrays.is_array(self.weight) else self.weight, dtype=np.float64)
        limit = np.broadcast_to(weight.ravel() * float(step), (count, len(self.edges)))
        useful = 2.0 * (1.0 + np.abs(rows).sum(axis=1, keepdims=True))  # no multiplier needs to be larger
        bound = np.minimum(limit / np.maximum(size, 1e-15 * limit), useful).ravel()
        per_batch = count // max(target.size, 1)
        share = np.repeat(target.ravel(), per_batch) / per_batch**0.5
        share = np.where(np.isnan(share), 1e-6, share)  # another signal of the same point has a NaN
        wanted = share / np.maximum(size[:, 0], 1e-15 * share)
        edges, flat = self._graph.repeated(count), rows.ravel()
        metric = np.tile(self._metric, count)
        search = DualSearch(edges, flat, bound, metric)
        done, next_finish = 0, max(FIRST_FINISH, edges.nodes // 200)
        best = Pair(flat, search.u.copy(), gaps(edges, bound, flat, flat, search.u, count))
        while np.any(2.0 * best.gap > wanted * wanted) and done < self.max_iter:
            steps = min(max(16, done // 4), self.max_iter - done)
            search.advance(steps)
            done += steps
            p = search.primal()
            current = Pair(p, search.u.copy(), gaps(edges, bound, flat, p, search.u, count))
            if done >= next_finish or done == self.max_iter:
                next_finish = 2 * done
                current = finish(edges, bound, flat, current, wanted)
            best = current.better(best, edges)
        error = np.sqrt(2.0 * best.gap) * size[:, 0]
        point = (best.p.reshape(rows.shape) + mean) * size
        point[~whole], error[~whole] = np.nan, np.nan
        squared = (error * error).reshape(target.size, per_batch).sum(axis=1).reshape(target.shape)
        reached = bool(np.all((2.0 * best.gap <= wanted * wanted) | ~whole))
        return Solved(point, squared / (2.0 * float(step)), np.sqrt(squared), done, reached, edges, bound, best)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self_adjoint(self._linearized(x, step).apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        places = np.arange(len(self.edges))
        return {"weight": edge_derivative(self._linearized(x, step), self._graph, places, self.weight, float(step), x)}

    def _linearized(self, x: Array, step: Any) -> Linearization:
        found = self._solve(autodiff.detach(x), autodiff.detach(step), np.asarray(arrays.to_numpy(self.target_error(x, 1e-7))))
        return Linearization([found.edges], found.bound, found.pair.p, [found.pair.u], grouped=False)

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.weight):
            return f"sum_e w_e |{x}_i - {x}_j|"
        return f"{float(self.weight):g} sum_e |{x}_i - {x}_j|"


def edge_derivative(
    linear: Linearization, graph: Edges, places: np.ndarray, weight: Any, step: float, like: Array
) -> LinearMap:
    """The derivative of the prox in a weight: a number, or an array whose entry ``places[e]`` is that of edge e."""
    shape = shape_of(weight)
    if not shape or shape[0] == 1:
        column = -step * linear.apply(linear.force[None])[0].reshape(like.shape)
        return BroadcastMap(arrays.from_numpy(column, like=like), shape)
    count = len(linear.labels) // graph.nodes
    edges = graph.repeated(count)

    def forward(change: np.ndarray) -> np.ndarray:
        spread = np.tile(change[:, places], (1, count))
        return -step * linear.apply((edges.transpose @ (linear.signs * spread).T).T)

    def backward(g: np.ndarray) -> np.ndarray:
        force = linear.signs * (edges.matrix @ linear.apply(g.reshape(len(g), -1)).T).T
        total = np.zeros((len(g), *shape))
        total[:, places] = -step * force.reshape(len(g), count, -1).sum(axis=1)
        return total

    return HostMap(forward, backward, shape, shape_of(like), 2.0 * step * float(linear.signs.size) ** 0.5)


class Solved(NamedTuple):
    """The point, its gap and error for each row of the batch, and where they came from."""

    point: np.ndarray
    gap: np.ndarray
    error: np.ndarray
    iterations: int
    converged: bool
    edges: Edges
    bound: np.ndarray
    pair: Pair


@compiled
def graph_steps(tails, heads, x, bound, metric, u, ahead, work, age, count):  # type: ignore[no-untyped-def]
    """``count`` iterations of ``DualSearch`` in place; returns the age of the momentum."""
    for _ in range(count):
        work[:] = x
        for e in range(len(tails)):
            work[tails[e]] += ahead[e]
            work[heads[e]] -= ahead[e]
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * age * age))
        weight = (age - 1.0) / following
        uphill = 0.0
        for e in range(len(tails)):
            new = min(max(ahead[e] + metric[e] * (work[heads[e]] - work[tails[e]]), -bound[e]), bound[e])
            move = new - u[e]
            uphill += (ahead[e] - new) / metric[e] * move
            u[e] = new
            ahead[e] = new + weight * move
        age = following
        if uphill > 0.0:
            age = 1.0
            ahead[:] = u
    return age


class DualSearch:
    """Accelerated projected gradients with restart for |x - D'u|^2/2 over |u| <= bound, each multiplier with its own step."""

    def __init__(self, edges: Edges, x: np.ndarray, bound: np.ndarray, metric: np.ndarray) -> None:
        self.edges, self.x, self.bound, self.metric = edges, x, bound, metric
        self.u, self.ahead = np.zeros(len(bound)), np.zeros(len(bound))
        self.work, self.age = np.empty(len(x)), 1.0

    def primal(self) -> np.ndarray:
        """x - D'u."""
        return self.x - self.edges.transpose @ self.u

    def advance(self, count: int) -> None:
        """``count`` iterations; where the last move points uphill the momentum starts again."""
        if has_compiler():
            self.age = graph_steps(
                self.edges.tails,
                self.edges.heads,
                self.x,
                self.bound,
                self.metric,
                self.u,
                self.ahead,
                self.work,
                self.age,
                count,
            )
            return
        for _ in range(count):
            slope = self.edges.matrix @ (self.x - self.edges.transpose @ self.ahead)
            new = np.clip(self.ahead + self.metric * slope, -self.bound, self.bound)
            move = new - self.u
            if float(((self.ahead - new) / self.metric) @ move) > 0:
                self.age, self.ahead = 1.0, new
            else:
                age = 0.5 * (1.0 + (1.0 + 4.0 * self.age**2) ** 0.5)
                self.ahead = new + ((self.age - 1.0) / age) * move
                self.age = age
            self.u = new

"""Nodes of a graph joined into pieces by multipliers inside their bounds: exact proxes of total variations, derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg

INSIDE = 1.0 - 1e-9  # a multiplier below this part of its bound is inside it
DIRECT_SIZE = 50_000  # unknowns up to which a sparse factorisation is used, beyond conjugate gradients
ROUNDS = 20  # Newton rounds; far fewer unless the gap keeps halving


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges i -> j between nodes 0 ... nodes - 1, and the factor of each difference: (Dx)_e = scale_e (x_j - x_i)."""

    tails: np.ndarray
    heads: np.ndarray
    scale: np.ndarray
    nodes: int

    def repeated(self, rows: int) -> Edges:
        """The graph of ``rows`` copies side by side: a batch is one graph that falls apart."""
        offset = self.nodes * np.arange(rows)[:, None]
        return Edges((self.tails + offset).ravel(), (self.heads + offset).ravel(), np.tile(self.scale, rows), self.nodes * rows)

    @cached_property
    def matrix(self) -> Any:
        """D as a sparse matrix."""
        rows = np.arange(len(self.tails))
        entries = (np.concatenate([-self.scale, self.scale]), (np.tile(rows, 2), np.concatenate([self.tails, self.heads])))
        return scipy.sparse.csr_array(entries, shape=(len(rows), self.nodes))

    @cached_property
    def transpose(self) -> Any:
        """D' as a sparse matrix."""
        return self.matrix.T.tocsr()

    def pieces(self, joined: np.ndarray) -> tuple[np.ndarray, int]:
        """The piece of every node when the marked edges join their ends, and the number of pieces."""
        links = (np.ones(int(joined.sum())), (self.tails[joined], self.heads[joined]))
        graph = scipy.sparse.csr_array(links, shape=(self.nodes, self.nodes))
        count, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
        return labels, int(count)


def grid_edges(shape: tuple[int, ...], scales: tuple[float, ...]) -> list[Edges]:
    """The edges of a grid, axis by axis; the edge of a node and an axis leads to the next node."""
    index = np.arange(int(np.prod(shape))).reshape(shape)
    found = []
    for axis, scale in enumerate(scales):
        before = (slice(None),) * axis
        tails, heads = index[(*before, slice(None, -1))].ravel(), index[(*before, slice(1, None))].ravel()
        found.append(Edges(tails, heads, np.full(len(tails), scale), index.size))
    return found


def joined(parts: list[Edges]) -> Edges:
    """The edges of all parts, one part after the other, on the same nodes."""
    return Edges(
        np.concatenate([edges.tails for edges in parts]),
        np.concatenate([edges.heads for edges in parts]),
        np.concatenate([edges.scale for edges in parts]),
        parts[0].nodes,
    )


class Pair(NamedTuple):
    """Primal values at the nodes, multipliers of the edges, and the duality gap of each row."""

    p: np.ndarray
    u: np.ndarray
    gap: np.ndarray

    def better(self, other: Pair, edges: Edges) -> Pair:
        """Row by row the pair with the smaller gap."""
        rows = len(self.gap)
        mine = self.gap <= other.gap
        nodes = np.repeat(mine, edges.nodes // rows)
        return Pair(
            np.where(nodes, self.p, other.p),
            np.where(nodes[edges.tails], self.u, other.u),
            np.where(mine, self.gap, other.gap),
        )


def finish(edges: Edges, bound: np.ndarray, x: np.ndarray, start: Pair, wanted: np.ndarray) -> Pair:
    """Newton rounds on 1/2 |p - x|^2 + sum_e bound_e |(Dp)_e|: from a pair that tells most pieces rightly to the exact one.

    Edges with |u + Dp| below the bound join their ends, the others push with their bound. A piece gets the value mean(x -
    D'u); the multipliers inside a piece get the smallest move that explains its values: a Laplacian system, factorised. The
    next round reads the sets from the new pair: a primal-dual active set method, that is a semismooth Newton method, which
    converges only nearby. Every round's pair is made feasible and judged by its duality gap, row by row; rounds end when the
    gap no longer halves. ``wanted``: the error that suffices, in each row.
    """
    rows = len(start.gap)
    best, last = start, np.inf
    multipliers, moved = start.u, start.u + edges.matrix @ start.p
    for _ in range(ROUNDS):
        free = np.abs(moved) < INSIDE * bound
        labels, count = edges.pieces(free)
        pushing = np.where(free, 0.0, bound * np.sign(moved))
        pushed = x - edges.transpose @ pushing
        level = (np.bincount(labels, pushed, minlength=count) / np.bincount(labels, minlength=count))[labels]
        values = multipliers[free]
        potential = np.zeros(edges.nodes)
        _, first = np.unique(labels, return_index=True)
        others = np.ones(edges.nodes, dtype=bool)
        others[first] = False  # one node of each piece is grounded
        if others.any():
            inside = edges.matrix[np.flatnonzero(free)]
            grounded = inside[:, np.flatnonzero(others)]
            rest = pushed - level - inside.T @ values
            potential[others] = factorised(grounded.T @ grounded)(rest[others])
            values = values + inside @ potential
        same = labels[edges.tails] == labels[edges.heads]
        moved = pushing + edges.matrix @ level + np.where(same, edges.matrix @ potential, 0.0)
        moved[free] = values
        multipliers = pushing
        multipliers[free] = np.clip(values, -bound[free], bound[free])
        found = Pair(level, multipliers, gaps(edges, bound, x, level, multipliers, rows))
        best = found.better(best, edges)
        total = float(np.sum(found.gap))
        if np.all(2.0 * best.gap <= wanted * wanted) or not total < 0.5 * last:
            break
        last = total
    return best


def gaps(edges: Edges, bound: np.ndarray, x: np.ndarray, p: np.ndarray, u: np.ndarray, rows: int) -> np.ndarray:
    """The duality gap of each of the ``rows`` equal parts of a graph: a sum of terms that are not negative."""
    moves = edges.matrix @ p
    rest = p - x + edges.transpose @ u
    slack = np.maximum(bound * np.abs(moves) - u * moves, 0.0)
    of_edges = np.bincount(edges.tails // (edges.nodes // rows), slack, minlength=rows)
    return of_edges + 0.5 * (rest * rest).reshape(rows, -1).sum(axis=1)


def factorised(matrix: Any) -> Any:
    """The solver of a sparse symmetric positive definite system."""
    options = {"SymmetricMode": True}
    return scipy.sparse.linalg.splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve


class Linearization:
    """The derivative of the prox of a total variation with one group of edges a node (isotropic) or one an edge.

    Parameters
    ----------
    axes : list of Edges
        In an isotropic group, edge e of every axis with the same tail. A graph or an anisotropic grid: one list entry.
    bounds : array, one a node (isotropic) or one an edge
    p, u : arrays
        The prox, and the multipliers (for every axis).
    """

    def __init__(self, axes: list[Edges], bounds: np.ndarray, p: np.ndarray, u: list[np.ndarray], grouped: bool) -> None:
        groups = axes[0].nodes if grouped else len(axes[0].tails)
        moved = [np.zeros(groups) for _ in axes]
        places = [edges.tails if grouped else np.arange(groups) for edges in axes]
        for part, edges, place, values in zip(moved, axes, places, u, strict=True):
            part[place] = values + edges.matrix @ p
        length = np.sqrt(sum(part * part for part in moved))
        inside = length < INSIDE * bounds
        marks = [inside[place] for place in places]
        self.labels, self.count = joined(axes).pieces(np.concatenate(marks))
        self.sizes = np.bincount(self.labels, minlength=self.count).astype(float)
        directions = [part / np.where(length > 0, length, 1.0) for part in moved]
        self.signs = np.concatenate(
            [np.where(mark, 0.0, direction[place]) for place, mark, direction in zip(places, marks, directions, strict=True)]
        )
        self.force = joined(axes).transpose @ self.signs
        self.solve = self._solver(axes, places, inside, length, bounds, directions) if grouped else None

    def _solver(self, axes: list[Edges], places: Any, inside: Any, length: Any, bounds: Any, directions: Any) -> Any:
        glue = scipy.sparse.csr_array(
            (np.ones(len(self.labels)), (np.arange(len(self.labels)), self.labels)), shape=(len(self.labels), self.count)
        )
        stiffness = np.where(inside, 0.0, bounds / np.maximum(length - bounds, 1e-14 * np.maximum(bounds, 1e-300)))
        spread = [
            scipy.sparse.csr_array((np.ones(len(place)), (place, np.arange(len(place)))), shape=(len(length), len(place)))
            @ (edges.matrix @ glue)
            for edges, place in zip(axes, places, strict=True)
        ]
        system = scipy.sparse.diags_array(self.sizes).tocsr()
        for a, one in enumerate(spread):
            for b, other in enumerate(spread):
                factor = stiffness * (float(a == b) - directions[a] * directions[b])
                system = system + one.T @ (scipy.sparse.diags_array(factor) @ other)
        system = 0.5 * (system + system.T)
        if self.count <= DIRECT_SIZE:
            return factorised(system)
        scale = 1.0 / system.diagonal()
        precondition = scipy.sparse.linalg.LinearOperator(system.shape, matvec=lambda h: scale * h, dtype=float)
        return lambda h: scipy.sparse.linalg.cg(system, h, rtol=1e-10, atol=0.0, M=precondition)[0]

    def apply(self, h: np.ndarray) -> np.ndarray:
        """The derivative applied to each row of h, shape (rows, *any shape of as many entries as nodes)."""
        result = np.empty(h.shape, dtype=np.float64)
        for row, values in zip(result.reshape(len(h), -1), h.reshape(len(h), -1), strict=True):
            total = np.bincount(self.labels, values, minlength=self.count)
            row[...] = (total / self.sizes if self.solve is None else self.solve(total))[self.labels]
        return result

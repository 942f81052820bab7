"""Saddle points of <Kx, y> on two simplices as linear programs.

max over y >= 0, <v, y> = d of <Kx, y> is d max_i (Kx)_i / v_i, so that the first player solves: minimise d t over (x, t)
subject to Kx - v t <= 0, <w, x> = c, x >= 0. The multipliers of the first rows are the second player's strategy (von Neumann
1928; Dantzig 1951).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from monops import arrays
from monops.algorithms.shared.programs import Host, Program, entries
from monops.algorithms.shared.quasidefinite import DENSE_LIMIT
from monops.algorithms.shared.saddle_form import saddle_form
from monops.arrays import Array, Blocks
from monops.functions import Simplex
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Missing


class Game(NamedTuple):
    """The two sets, the map, and a step for a last projection."""

    first: Simplex
    second: Simplex
    map: LinearMap
    step: float

    def played(self, x: Host, y: Host, like: Array) -> tuple[Blocks, Blocks]:
        """A point next to strategies (x, t) and y of the program, and an element of the operator there.

        With x+ = P(x - s K*y) and y+ = P(y + s Kx) it is ((x - x+)/s + K*(y+ - y), (y - y+)/s - K(x+ - x)), in
        (N(x+) + K*y+, N(y+) - Kx+).
        """
        count = int(self.map.output_shape[0])
        x0 = self.first.prox(arrays.from_numpy(x[:-1], like), 1.0)
        y0 = self.second.prox(arrays.from_numpy(y[:count], like), 1.0)
        step, Kx, adjoint = self.step, self.map.apply(x0), self.map.adjoint(y0)
        x1, y1 = self.first.prox(x0 - step * adjoint, step), self.second.prox(y0 + step * Kx, step)
        element = (x0 - x1) / step + self.map.adjoint(y1) - adjoint, (y0 - y1) / step - self.map.apply(x1) + Kx
        return Blocks((x1, y1)), Blocks(element)


def read_game(problem: Inclusion) -> tuple[Program, Game] | Missing:
    """The program of a game, or what keeps the inclusion from being one."""
    form = saddle_form(problem, None)
    if isinstance(form, Missing) or not form.blocks or problem.batch_ndim:
        return Missing("it is no saddle point on two simplices, of one row", "use RestartedChambollePock")
    first, second = form.A, form.dual.operators[0]
    if not (isinstance(first, Simplex) and isinstance(second, Simplex) and len(form.dual.operators) == 1):
        return Missing("it is no saddle point on two simplices", "use RestartedChambollePock")
    K = entries(form.map)
    if K is None or max(K.shape) >= DENSE_LIMIT:
        return Missing(
            f"the game is not given by a matrix of at most {DENSE_LIMIT - 1} rows and columns", "use RestartedChambollePock"
        )
    (m, n), weights, totals = K.shape, [], []
    for strategy, size in ((first, n), (second, m)):
        weights.append(np.broadcast_to(_host(strategy.weight), (size,)))
        totals.append(float(_host(strategy.total)))
    columns = np.append(np.zeros(n), totals[1])
    ties = sparse.hstack([K, sparse.csr_array(-weights[1][:, None])])
    budget = sparse.csr_array(np.append(weights[0], 0.0)[None])
    A = sparse.csr_array(sparse.vstack([ties, budget, sparse.eye_array(n, n + 1)]))
    lower = np.concatenate([np.full(m, -np.inf), [totals[0]], np.zeros(n)])
    upper = np.concatenate([np.zeros(m), [totals[0]], np.full(n, np.inf)])
    program = Program(sparse.csr_array((n + 1, n + 1)), columns, A, lower, upper, (m, 1, n), np.empty(0))
    magnitude = abs(K)
    norm = float(np.sqrt(np.max(magnitude.sum(axis=0), initial=0.0) * np.max(magnitude.sum(axis=1), initial=0.0)))
    return program, Game(first, second, form.map, 1.0 / norm if norm > 0 else 1.0)


def _host(values: Any) -> Host:
    return np.asarray(arrays.to_numpy(values) if arrays.is_array(values) else values, dtype=np.float64)

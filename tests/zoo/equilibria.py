"""Monotone problems that are no minimisation: games, complementarity, saddle points, linear systems."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from monops import Blocks, arrays, models
from tests.zoo.problem import (
    Problem,
    Reference,
    box_equilibrium,
    conic,
    gap,
    linear,
    rng,
    simplex_projection,
    soft,
    zeros,
)

# ---- linear complementarity, linear system: a large skew part --------------------------------------------
S = rng(4).standard_normal((8, 8))
M, r = 0.3 * np.eye(8) + 2.0 * (S - S.T) / 8.0, rng(5).standard_normal(8)


def _complementarity_error(x: np.ndarray) -> float:
    return float(np.abs(np.minimum(x, M @ x + r)).max())


def _system_error(x: np.ndarray) -> float:
    return float(np.abs(M @ x + r).max())


# ---- nonlinear complementarity: F(x) = Mx + tanh(x) + r ----------------------------------------------------
def _nonlinear(a: Any) -> monops.Inclusion:
    matrix, offset = a(M), a(r)

    def F(x: Any) -> Any:
        return matrix @ x + arrays.namespace(x).tanh(x) + offset

    bound = float(np.linalg.norm(M, 2)) + 1.0
    return models.nonlinear_complementarity(F, monops.Constants(0.3, lipschitz=bound), (8,))


def _nonlinear_error(x: np.ndarray) -> float:
    return float(np.abs(np.minimum(x, M @ x + np.tanh(x) + r)).max())


def _nonlinear_reference() -> Reference:
    """Newton on the active set that the linear problem suggests, checked by the definition."""
    x = np.maximum(box_equilibrium(M + np.eye(8), r, np.zeros(8), np.full(8, np.inf)), 0.0)
    for _ in range(50):
        value = M @ x + np.tanh(x) + r
        free = x > value
        slope = np.where(free[:, None], M + np.diag(1.0 - np.tanh(x) ** 2), np.eye(8))
        x = x - np.linalg.solve(slope, np.where(free, value, x))
    assert _nonlinear_error(x) < 1e-12
    return Reference(x)


# ---- fixed point of a layer: z = tanh(Wz + r), |W| = 0.8 -------------------------------------------------------
W = 0.8 * S / np.linalg.norm(S, 2)


def _layer(z: Any, weight: Any, bias: Any) -> Any:
    return arrays.namespace(z).tanh(z @ weight.T + bias)


def _layer_reference() -> Reference:
    z = np.zeros(8)
    for _ in range(20):
        image = np.tanh(W @ z + r)
        z = z - np.linalg.solve(np.eye(8) - (1.0 - image**2)[:, None] * W, z - image)
    return Reference(z)


# ---- matrix game --------------------------------------------------------------------------------------------
G = rng(6).standard_normal((6, 8))


def _matrix_game() -> Reference:
    rows = np.hstack([G, -np.ones((6, 1))])
    found = linear(
        np.append(np.zeros(8), 1.0),
        A_ub=rows,
        b_ub=np.zeros(6),
        A_eq=[[1.0] * 8 + [0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * 8 + [(None, None)],
    )
    return Reference(Blocks((found.x[:8], -found.ineqlin.marginals)), float(found.fun))


def _matrix_game_error(z: Any) -> float:
    """What the players could still gain, and how far the strategies are from the simplices."""
    x, y = z
    infeasible = max(abs(x.sum() - 1), abs(y.sum() - 1), -x.min(), -y.min(), 0.0)
    return float(max(np.max(G @ x) - np.min(G.T @ y), infeasible))


# ---- three players with quadratic costs on boxes -----------------------------------------------------------
PARTS = [rng(60 + i).standard_normal((2, 2)) for i in range(9)]
ROWS = [
    [PARTS[3 * i + j] if i != j else 3.0 * np.eye(2) + 0.5 * PARTS[4 * i] @ PARTS[4 * i].T for j in range(3)] for i in range(3)
]
SLOPES = [2.0 * rng(70 + i).standard_normal(2) for i in range(3)]
JOINED, SLOPE = np.block(ROWS), np.concatenate(SLOPES)


def _players(a: Any) -> monops.Inclusion:
    players = [
        models.QuadraticPlayer(tuple(a(block) for block in ROWS[i]), monops.Box(-0.5, 0.5), a(SLOPES[i])) for i in range(3)
    ]
    return models.game(*players)


def _players_error(z: Any) -> float:
    x = np.concatenate(z)
    return float(np.abs(x - np.clip(x - (JOINED @ x + SLOPE), -0.5, 0.5)).max())


def _players_reference() -> Reference:
    x = box_equilibrium(JOINED, SLOPE, np.full(6, -0.5), np.full(6, 0.5))
    return Reference(Blocks((x[:2], x[2:4], x[4:])))


# ---- Cournot competition with differentiated products --------------------------------------------------------
FALL = 0.3 * np.ones((5, 5)) + np.diag(rng(80).uniform(0.5, 1.0, 5)) + 0.1 * rng(81).standard_normal((5, 5))
PRICE, EXPENSE, GROWTH, CAPACITY = 4.0, rng(82).uniform(0.5, 3.8, 5), 0.2, 1.2


def _profit_slope(x: np.ndarray) -> np.ndarray:
    """The derivative of each firm's profit x_i (price - sum_j fall_ij x_j) - expense_i x_i - growth/2 x_i^2 in x_i."""
    return PRICE - FALL @ x - np.diag(FALL) * x - EXPENSE - GROWTH * x


def _cournot_error(x: np.ndarray) -> float:
    return float(np.abs(x - np.clip(x + _profit_slope(x), 0.0, CAPACITY)).max())


def _cournot() -> Reference:
    slope = -np.array([_profit_slope(unit) - _profit_slope(np.zeros(5)) for unit in np.eye(5)]).T
    return Reference(box_equilibrium(slope, -_profit_slope(np.zeros(5)), np.zeros(5), np.full(5, CAPACITY)))


# ---- traffic: two pairs, three paths each, on seven links ------------------------------------------------------
PATHS = [
    np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0]], dtype=float),
    np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=float),
]
DEMANDS, EMPTY = [2.0, 1.5], np.array([1.0, 1.2, 0.8, 0.5, 0.7, 0.3, 0.4])
CONGESTION = np.array([0.5, 1.0, 0.8, 0.3, 0.6, 0.9, 0.7])


def _traffic() -> Reference:
    import cvxpy as cp

    x = cp.Variable(3), cp.Variable(3)
    flow = PATHS[0] @ x[0] + PATHS[1] @ x[1]
    cost = EMPTY @ flow + 0.5 * cp.sum(cp.multiply(CONGESTION, cp.square(flow)))
    return conic(x, cost, [part >= 0 for part in x] + [cp.sum(part) == total for part, total in zip(x, DEMANDS, strict=True)])


def _traffic_error(z: Any) -> float:
    """Every path in use takes the least time of its pair; the flows add up to the demands."""
    times = EMPTY + CONGESTION * sum(K @ x for K, x in zip(PATHS, z, strict=True))
    worst = 0.0
    for K, x, total in zip(PATHS, z, DEMANDS, strict=True):
        worst = max(worst, float(np.abs(x - simplex_projection(x - K.T @ times, total)).max()))
    return worst


# ---- saddle with skew coupling: 0.2 |x|_1 + 1/4 |x|^2 + <Kx, y> - 1/2 |y - w|^2 on |y_i| <= 1 ------------------------
K, w = rng(83).standard_normal((6, 8)), rng(84).standard_normal(6)


def _saddle_error(z: Any) -> float:
    x, y = z
    first = x - soft(x - K.T @ y - 0.5 * x, 0.2)
    second = y - np.clip(y + K @ x - (y - w), -1.0, 1.0)
    return float(max(np.abs(first).max(), np.abs(second).max()))


def _saddle() -> Reference:
    """The dual in y: maximise -1/2 |y - w|^2 - h*(-K*y), with h* the conjugate of h = 0.2 |.|_1 + 1/4 |.|^2."""
    import cvxpy as cp

    y = cp.Variable(6)
    excess = cp.pos(cp.abs(K.T @ y) - 0.2)
    found = conic(y, 0.5 * cp.sum_squares(y - w) + cp.sum_squares(excess), [cp.abs(y) <= 1.0])
    return Reference(Blocks((2.0 * soft(-K.T @ found.x, 0.2), found.x)), -found.value)


# ---- smooth saddle: sum log cosh(x) + <Bx, y> - sum sqrt(1 + y^2), on a ball and a box --------------------------------
B = rng(85).standard_normal((4, 4))
TILT = 0.5 * rng(86).standard_normal(4)


def _smooth(a: Any) -> monops.Inclusion:
    matrix, tilt = a(B), a(TILT)

    def in_x(x: Any, y: Any) -> Any:
        return arrays.namespace(x).tanh(x) + y @ matrix + tilt

    def in_y(x: Any, y: Any) -> Any:
        return matrix @ x - y / arrays.namespace(y).sqrt(1.0 + y * y)

    bound = 1.0 + float(np.linalg.norm(B, 2))
    return models.convex_concave(in_x, in_y, monops.L2Ball(1.0), monops.Box(-0.5, 0.5), lipschitz=bound, shapes=((4,), (4,)))


def _smooth_error(z: Any) -> float:
    x, y = z
    moved = x - (np.tanh(x) + B.T @ y + TILT)
    first = x - moved / max(1.0, float(np.linalg.norm(moved)))
    second = y - np.clip(y + B @ x - y / np.sqrt(1.0 + y * y), -0.5, 0.5)
    return float(max(np.abs(first).max(), np.abs(second).max()))


def _smooth_reference() -> Reference:
    """Extragradient steps in plain NumPy until the natural residual is at rounding level."""
    x, y, step = np.zeros(4), np.zeros(4), 0.4 / (1.0 + float(np.linalg.norm(B, 2)))

    def project(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x / max(1.0, float(np.linalg.norm(x))), np.clip(y, -0.5, 0.5)

    def value(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tanh(x) + B.T @ y + TILT, y / np.sqrt(1.0 + y * y) - B @ x

    for _ in range(20_000):
        in_x, in_y = value(x, y)
        in_x, in_y = value(*project(x - step * in_x, y - step * in_y))
        x, y = project(x - step * in_x, y - step * in_y)
    assert _smooth_error((x, y)) < 1e-10
    return Reference(Blocks((x, y)))


# ---- the least largest of several lines, as a saddle problem ------------------------------------------------------------
LINES, HEIGHTS = rng(87).standard_normal((7, 3)), rng(88).standard_normal(7)


def _lines() -> Reference:
    rows = np.hstack([LINES, -np.ones((7, 1))])
    found = linear(np.append(np.zeros(3), 1.0), A_ub=rows, b_ub=-HEIGHTS, bounds=[(-1, 1)] * 3 + [(None, None)])
    return Reference(Blocks((found.x[:3], -found.ineqlin.marginals)), float(found.fun))


def _lines_error(z: Any) -> float:
    """The duality gap: max_i (Ax + b)_i against min over |x_i| <= 1 of <Ax + b, y>."""
    x, y = z
    upper, lower = np.max(LINES @ x + HEIGHTS), HEIGHTS @ y - np.abs(LINES.T @ y).sum()
    infeasible = max(np.abs(x).max() - 1.0, abs(y.sum() - 1.0), -y.min(), 0.0)
    return float(max(abs(upper - lower), gap(upper, LINES_PROBLEM.reference.value), infeasible))


LINES_PROBLEM = Problem(
    "least largest line",
    lambda a: models.minimax(a(LINES), a(HEIGHTS), monops.Box(-1.0, 1.0)),
    zeros((3,), (7,)),
    _lines,
    "linprog (HiGHS)",
    _lines_error,
)

EQUILIBRIA = (
    Problem(
        "linear complementarity",
        lambda a: models.linear_complementarity(a(M), a(r)),
        zeros((8,)),
        lambda: Reference(box_equilibrium(M, r, np.zeros(8), np.full(8, np.inf))),
        "every active set",
        _complementarity_error,
    ),
    Problem(
        "nonlinear complementarity",
        _nonlinear,
        zeros((8,)),
        _nonlinear_reference,
        "Newton on the active set",
        _nonlinear_error,
    ),
    Problem(
        "skew linear system",
        lambda a: monops.Inclusion(monops.Affine(a(M), a(r)).terms()),
        zeros((8,)),
        lambda: Reference(np.linalg.solve(M, -r)),
        "dense solve",
        _system_error,
    ),
    Problem(
        "equilibrium network",
        lambda a: monops.Inclusion(monops.FixedPoint(_layer, (a(W), a(r)), lipschitz=0.8).terms()),
        zeros((8,)),
        _layer_reference,
        "Newton's method, dense",
        lambda z: float(np.abs(z - np.tanh(W @ z + r)).max()),
    ),
    Problem(
        "matrix game",
        lambda a: models.matrix_game(a(G)),
        lambda a: Blocks((a(np.full(8, 1 / 8)), a(np.full(6, 1 / 6)))),
        _matrix_game,
        "linprog (HiGHS)",
        _matrix_game_error,
    ),
    Problem(
        "game of three players",
        _players,
        zeros((2,), (2,), (2,)),
        _players_reference,
        "every active set",
        _players_error,
    ),
    Problem(
        "Cournot competition",
        lambda a: models.cournot(PRICE, a(FALL), a(EXPENSE), GROWTH, CAPACITY),
        zeros((5,)),
        _cournot,
        "every active set",
        _cournot_error,
    ),
    Problem(
        "traffic equilibrium",
        lambda a: models.traffic_equilibrium([a(part) for part in PATHS], DEMANDS, a(EMPTY), a(CONGESTION)),
        zeros((3,), (3,)),
        _traffic,
        "CVXPY and Clarabel",
        _traffic_error,
        unique=False,
    ),
    Problem(
        "saddle with skew coupling",
        lambda a: monops.Inclusion(
            monops.Saddle(monops.ElasticNet(0.2, 0.5), monops.ElasticBox(-1.0, 1.0, l2=1.0, slope=a(-w)), a(K)).terms()
        ),
        zeros((8,), (6,)),
        _saddle,
        "CVXPY and Clarabel",
        _saddle_error,
    ),
    Problem(
        "smooth saddle",
        _smooth,
        zeros((4,), (4,)),
        _smooth_reference,
        "extragradient in NumPy",
        _smooth_error,
    ),
    LINES_PROBLEM,
)

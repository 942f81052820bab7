"""Linear, quadratic and conic programs; transport; portfolios; a point in several sets."""

from __future__ import annotations

import numpy as np

import monops
from monops import arrays
from tests.zoo.problem import Problem, Reference, below, conic, gap, linear, rng, simplex_projection, soft, zeros

# ---- linear program: minimise <c, x>, Ax = b, x >= 0 ---------------------------------------------------
A = rng(40).uniform(0.1, 1.0, (4, 10))
b = A @ rng(41).uniform(0.2, 1.0, 10)
c = A.T @ rng(42).standard_normal(4) + rng(43).uniform(0.1, 1.0, 10)


def _linear() -> Reference:
    found = linear(c, A_eq=A, b_eq=b)
    return Reference(found.x, float(found.fun))


def _linear_error(x: np.ndarray) -> float:
    return max(gap(float(c @ x), LINEAR.reference.value), float(np.abs(A @ x - b).max()), below(-x))


LINEAR = Problem(
    "linear program",
    lambda a: monops.Linear(a(c)) + monops.NonNegative() + monops.AffineSet(a(A), a(b)),
    zeros((10,)),
    _linear,
    "linprog (HiGHS)",
    _linear_error,
)

# ---- quadratic programs ---------------------------------------------------------------------------------
F = rng(2).standard_normal((12, 12))
P, q = F.T @ F + 0.5 * np.eye(12), 3.0 * rng(3).standard_normal(12)
G = rng(44).standard_normal((6, 12))
LIMIT = 0.3 * np.ones(6)


def _quadratic() -> Reference:
    import cvxpy as cp

    x = cp.Variable(12)
    return conic(x, 0.5 * cp.quad_form(x, P) + q @ x, [cp.abs(G @ x) <= LIMIT])


def _quadratic_error(x: np.ndarray) -> float:
    """Feasibility, and multipliers of the right sign for the rows at a bound, by least squares."""
    image = G @ x
    upper, lower = image > LIMIT - 1e-4, image < -LIMIT + 1e-4
    rows = np.concatenate([G[upper], -G[lower]])
    gradient = P @ x + q
    multipliers = np.linalg.lstsq(rows.T, -gradient, rcond=None)[0] if rows.size else np.zeros(0)
    stationarity = np.abs(gradient + rows.T @ multipliers).max() / np.linalg.norm(P, 2)
    return float(max(stationarity, below(np.abs(image) - LIMIT), *np.maximum(-multipliers, 0.0), 0.0))


def _three_error(x: np.ndarray) -> float:
    """x_i minimises its quadratic model plus 0.3 x_i over [0, 0.4]."""
    return float(np.abs(x - np.clip(x - (P @ x + q + 0.3), 0.0, 0.4)).max())


def _three() -> Reference:
    import cvxpy as cp

    x = cp.Variable(12)
    return conic(x, 0.5 * cp.quad_form(x, P) + q @ x + 0.3 * cp.norm1(x), [x >= 0, x <= 0.4])


# ---- second-order cone program: minimise <d, x> over two cones and a ball ----------------------------------
d = rng(45).standard_normal(5)
K1, K2 = rng(46).standard_normal((4, 5)), rng(47).standard_normal((3, 5))
h1, h2 = np.array([2.0, 0.3, -0.2, 0.1]), np.array([1.5, -0.4, 0.2])


def _cones() -> Reference:
    import cvxpy as cp

    x = cp.Variable(5)
    first, second = K1 @ x + h1, K2 @ x + h2
    return conic(x, d @ x, [cp.norm(first[1:]) <= first[0], cp.norm(second[1:]) <= second[0], cp.norm(x) <= 2.0])


def _cones_error(x: np.ndarray) -> float:
    first, second = K1 @ x + h1, K2 @ x + h2
    violation = [np.linalg.norm(first[1:]) - first[0], np.linalg.norm(second[1:]) - second[0], np.linalg.norm(x) - 2.0]
    return max(gap(float(d @ x), CONES.reference.value), below(violation))


CONES = Problem(
    "second-order cone program",
    lambda a: (
        monops.L2Ball(2.0).tilt(a(d))
        + monops.SecondOrderCone().translate(a(-h1)) @ a(K1)
        + monops.SecondOrderCone().translate(a(-h2)) @ a(K2)
    ),
    zeros((5,)),
    _cones,
    "CVXPY and Clarabel",
    _cones_error,
)

# ---- semidefinite program: the relaxation of maximum cut ----------------------------------------------------
C = rng(48).uniform(0.0, 1.0, (5, 5))
C = C + C.T


def _diagonal(a: object) -> monops.MatvecMap:
    def diagonal(x: object) -> object:
        return arrays.namespace(x).linalg.diagonal(x)

    def matrix(y: object) -> object:
        xp = arrays.namespace(y)
        return y[:, None] * xp.eye(5, dtype=y.dtype, device=arrays.device(y))

    return monops.MatvecMap(diagonal, matrix, (5, 5), (5,), 1.0)


def _semidefinite() -> Reference:
    import cvxpy as cp

    x = cp.Variable((5, 5), PSD=True)
    return conic(x, cp.trace(C @ x), [cp.diag(x) == 1.0])


def _semidefinite_error(x: np.ndarray) -> float:
    least = np.linalg.eigvalsh(0.5 * (x + x.T))[0]
    feasible = max(below(-least), float(np.abs(np.diag(x) - 1.0).max()), float(np.abs(x - x.T).max()))
    return max(gap(float(np.sum(C * x)), SEMIDEFINITE.reference.value), feasible)


SEMIDEFINITE = Problem(
    "semidefinite program",
    lambda a: monops.PositiveSemidefinite().tilt(a(C)) + monops.Point(a(np.ones(5))) @ _diagonal(a),
    zeros((5, 5)),
    _semidefinite,
    "CVXPY and Clarabel",
    _semidefinite_error,
)

# ---- optimal transport, portfolio ---------------------------------------------------------------------------
SUPPLY, DEMAND = rng(49).dirichlet(np.ones(4)), rng(50).dirichlet(np.ones(5))
COST = rng(51).uniform(0.0, 1.0, (4, 5))


def _transport() -> Reference:
    rows = np.kron(np.eye(4), np.ones((1, 5)))
    columns = np.kron(np.ones((1, 4)), np.eye(5))
    found = linear(COST.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([SUPPLY, DEMAND]))
    return Reference(found.x.reshape(4, 5), float(found.fun))


def _transport_error(x: np.ndarray) -> float:
    feasible = max(np.abs(x.sum(1) - SUPPLY).max(), np.abs(x.sum(0) - DEMAND).max(), below(-x))
    return max(gap(float(np.sum(COST * x)), TRANSPORT.reference.value), float(feasible))


TRANSPORT = Problem(
    "optimal transport",
    lambda a: monops.Linear(a(COST)) + monops.TransportPolytope(a(SUPPLY), a(DEMAND)),
    zeros((4, 5)),
    _transport,
    "linprog (HiGHS)",
    _transport_error,
)

FACTORS = rng(52).standard_normal((15, 4))
RISK = FACTORS @ FACTORS.T + np.diag(rng(53).uniform(0.3, 1.0, 15))
RETURNS = rng(54).standard_normal(15)


def _portfolio() -> Reference:
    import cvxpy as cp

    x = cp.Variable(15)
    return conic(x, 0.5 * cp.quad_form(x, RISK) - RETURNS @ x, [x >= 0, cp.sum(x) == 1.0])


def _portfolio_error(x: np.ndarray) -> float:
    return float(np.abs(x - simplex_projection(x - (RISK @ x - RETURNS))).max())


# ---- a point in three sets -----------------------------------------------------------------------------------
CENTRE, NORMAL = np.array([1.0, 0.5, -0.5, 0.0, 1.0, 0.2]), np.array([1.0, 1.0, 0.0, -1.0, 0.5, 2.0])


def _sets_error(x: np.ndarray) -> float:
    """Largest violation of |x - centre| <= 1, <normal, x> <= 0.5, -1 <= x <= 1."""
    return max(below(np.linalg.norm(x - CENTRE) - 1.0), below(NORMAL @ x - 0.5), below(np.abs(x) - 1.0))


def _sets() -> Reference:
    import cvxpy as cp

    x = cp.Variable(6)
    return conic(x, 0.0, [cp.norm(x - CENTRE) <= 1.0, NORMAL @ x <= 0.5, cp.abs(x) <= 1.0])


# ---- the nearest point of two sets ------------------------------------------------------------------------------
def _nearest() -> Reference:
    import cvxpy as cp

    x = cp.Variable(10)
    return conic(x, 0.5 * cp.sum_squares(x - c) + 0.2 * cp.norm1(x), [A @ x == b])


def _nearest_error(x: np.ndarray) -> float:
    """A x = b, and x the soft threshold of c - A*y for some y, which the nonzero entries determine by least squares."""
    on = np.abs(x) > 1e-4
    y = np.linalg.lstsq(A[:, on].T, (c - x - 0.2 * np.sign(x))[on], rcond=None)[0]
    return float(max(np.abs(A @ x - b).max(), np.abs(x - soft(c - A.T @ y, 0.2)).max()))


PROGRAMS = (
    LINEAR,
    Problem(
        "quadratic program",
        lambda a: monops.Quadratic(a(P), a(q)) + monops.Box(a(-LIMIT), a(LIMIT)) @ a(G),
        zeros((12,)),
        _quadratic,
        "CVXPY and Clarabel",
        _quadratic_error,
        tolerance=1e-3,
    ),
    Problem(
        "quadratic program of three terms",
        lambda a: monops.Quadratic(a(P), a(q)) + 0.3 * monops.L1Norm() + monops.Box(0.0, 0.4),
        zeros((12,)),
        _three,
        "CVXPY and Clarabel",
        _three_error,
    ),
    CONES,
    SEMIDEFINITE,
    TRANSPORT,
    Problem(
        "portfolio",
        lambda a: monops.Quadratic(a(RISK), a(-RETURNS)) + monops.Simplex(),
        zeros((15,)),
        _portfolio,
        "CVXPY and Clarabel",
        _portfolio_error,
    ),
    Problem(
        "a point in three sets",
        lambda a: monops.L2Ball(1.0, a(CENTRE)) + monops.HalfSpace(a(NORMAL), 0.5) + monops.Box(-1.0, 1.0),
        lambda a: a(3.0 * np.ones(6)),
        _sets,
        "CVXPY and Clarabel",
        _sets_error,
        unique=False,
    ),
    Problem(
        "sparse point of an affine set",
        lambda a: monops.SquaredL2().translate(a(c)) + 0.2 * monops.L1Norm() + monops.AffineSet(a(A), a(b)),
        zeros((10,)),
        _nearest,
        "CVXPY and Clarabel",
        _nearest_error,
        tolerance=1e-3,
    ),
)

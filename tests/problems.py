"""Problems with an independent optimality check, built on any array library.

Each ``Case`` builds its problem through ``asarray(host) -> array`` and knows how to measure the error of a candidate from
the definition of the problem (optimality conditions written out in NumPy, or an exact dense solve), not from the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import monops
from monops import arrays

AsArray = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Case:
    """A named problem: how to build it, its start, and the error of an answer (host arrays) from first principles."""

    name: str
    build: Callable[[AsArray], Any]
    start: Callable[[AsArray], Any]
    error: Callable[[Any], float]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- lasso ---------------------------------------------------------------------------------------
_A = _rng(0).standard_normal((30, 20))
_b = _rng(1).standard_normal(30)
_WEIGHT = 0.2 * float(np.max(np.abs(_A.T @ _b)))


def _lasso_error(x: np.ndarray) -> float:
    """Largest violation of |A'(Ax - b)|_i <= weight, = -weight sign(x_i) on the support."""
    gradient = _A.T @ (_A @ x - _b)
    on = np.abs(x) > 1e-7
    violation = np.where(on, np.abs(gradient + _WEIGHT * np.sign(x)), np.maximum(np.abs(gradient) - _WEIGHT, 0.0))
    return float(violation.max())


# ---- box-constrained quadratic -------------------------------------------------------------------
_F = _rng(2).standard_normal((12, 12))
_P = _F.T @ _F + 0.5 * np.eye(12)
_q = 3.0 * _rng(3).standard_normal(12)


def _box_error(x: np.ndarray) -> float:
    """|x - clip(x - (Px + q))| : zero exactly at the solution."""
    return float(np.abs(x - np.clip(x - (_P @ x + _q), -0.5, 0.5)).max())


# ---- monotone complementarity with a large skew part ---------------------------------------------
_S = _rng(4).standard_normal((10, 10))
_M = 0.3 * np.eye(10) + 2.0 * (_S - _S.T) / 10.0
_r = _rng(5).standard_normal(10)


def _complementarity_error(x: np.ndarray) -> float:
    return float(np.abs(np.minimum(x, _M @ x + _r)).max())


# ---- matrix game ---------------------------------------------------------------------------------
_G = _rng(6).standard_normal((6, 8))  # x in the simplex of R^8 minimises, y in the simplex of R^6 maximises <Gx, y>


def _game_error(z: Any) -> float:
    x, y = z
    infeasible = max(abs(x.sum() - 1), abs(y.sum() - 1), -x.min(), -y.min(), 0.0)
    return float(max(np.max(_G @ x) - np.min(_G.T @ y), infeasible))


# ---- one-dimensional total variation -------------------------------------------------------------
_signal = np.repeat([0.0, 2.0, 1.0, -1.0], 6) + 0.3 * _rng(7).standard_normal(24)
_D = np.diff(np.eye(24), axis=0)


def _variation_error(x: np.ndarray) -> float:
    """The dual point is the running sum of signal - x; it must lie in [-w, w], at a bound where x jumps, and end at 0."""
    dual = np.cumsum(_signal - x)
    jumps = np.diff(x)
    inner = -dual[:-1]
    violation = np.maximum(np.abs(inner) - 0.7, 0.0)
    jumping = np.abs(jumps) > 1e-6
    violation = np.where(jumping, np.abs(inner - 0.7 * np.sign(jumps)), violation)
    return float(max(violation.max(), abs(dual[-1])))


# ---- three terms ---------------------------------------------------------------------------------
def _three_error(x: np.ndarray) -> float:
    """Coordinates: x_i minimises over [0, 0.4] its own quadratic model plus the l1 norm (x >= 0, so its gradient is 1)."""
    gradient = _P @ x + _q + 0.3
    return float(np.abs(x - np.clip(x - gradient, 0.0, 0.4)).max())


# ---- strongly monotone linear system -------------------------------------------------------------
def _system_error(x: np.ndarray) -> float:
    return float(np.abs(_M @ x + _r).max())


# ---- a total that two players share -----------------------------------------------------------------
_share = 2.0 * _rng(8).standard_normal(10)


def _sharing_error(z: Any) -> float:
    """min |x1|_1 + 1/2 |x2 - r|^2 with x1 + x2 = share: x1 is soft-thresholding of share - r."""
    x1, x2 = z
    target = _share - _r
    exact = np.sign(target) * np.maximum(np.abs(target) - 1.0, 0.0)
    return float(max(np.abs(x1 - exact).max(), np.abs(x1 + x2 - _share).max()))


# ---- a contraction ---------------------------------------------------------------------------------
_W = 0.8 * _S / np.linalg.norm(_S, 2)


def _layer(z: Any, weight: Any, bias: Any) -> Any:
    return arrays.namespace(z).tanh(z @ weight.T + bias)


def _zeros(n: int) -> Callable[[AsArray], Any]:
    return lambda asarray: asarray(np.zeros(n))


CASES = (
    Case(
        "lasso",
        lambda a: monops.LeastSquares(a(_A), a(_b)) + _WEIGHT * monops.L1Norm(),
        _zeros(20),
        _lasso_error,
    ),
    Case("box quadratic", lambda a: monops.Quadratic(a(_P), a(_q)) + monops.Box(-0.5, 0.5), _zeros(12), _box_error),
    Case(
        "complementarity",
        lambda a: monops.Affine(a(_M), a(_r)) + monops.NonNegative(),
        _zeros(10),
        _complementarity_error,
    ),
    Case(
        "matrix game",
        lambda a: monops.Saddle(monops.Simplex(), monops.Simplex(), a(_G)),
        lambda a: monops.Blocks((a(np.full(8, 1 / 8)), a(np.full(6, 1 / 6)))),
        _game_error,
    ),
    Case(
        "total variation",
        lambda a: monops.SquaredL2().translate(a(_signal)) + 0.7 * monops.L1Norm() @ monops.Matrix(a(_D)),
        _zeros(24),
        _variation_error,
    ),
    Case(
        "three terms",
        lambda a: monops.Quadratic(a(_P), a(_q)) + 0.3 * monops.L1Norm() + monops.Box(0.0, 0.4),
        _zeros(12),
        _three_error,
    ),
    Case(
        "sharing",
        lambda a: (
            monops.SeparableSum((monops.L1Norm(), monops.SquaredL2().translate(a(_r))))
            + monops.Point(a(_share)) @ monops.Row((monops.Identity((10,)), monops.Identity((10,))))
        ),
        lambda a: monops.Blocks((a(np.zeros(10)), a(np.zeros(10)))),
        _sharing_error,
    ),
    Case(
        "fixed point",
        lambda a: monops.FixedPoint(_layer, (a(_W), a(_r)), lipschitz=0.8),
        _zeros(10),
        lambda z: float(np.abs(z - np.tanh(_W @ z + _r)).max()),
    ),
    Case("linear system", lambda a: monops.Affine(a(_M), a(_r)), _zeros(10), _system_error),
)

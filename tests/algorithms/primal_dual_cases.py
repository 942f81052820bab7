"""Problems f(x) + g(x) + h(Kx) with answers by CVXPY, and what a certificate at (x, y) must be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

import monops

rng = np.random.default_rng(11)
IMAGE = np.kron(np.array([[0.0, 1.0], [2.0, 0.5]]), np.ones((4, 4))) + 0.3 * rng.standard_normal((8, 8))
KERNEL = np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.1], [0.1, 0.1, 0.1]])
WIDE = rng.standard_normal((6, 15))
SPARSE = np.where(np.arange(15) % 6 == 0, 2.0, 0.0)
MEASURED = WIDE @ SPARSE
DESIGN = rng.standard_normal((20, 8))
TARGET = rng.standard_normal(20)
COSTS = np.arange(1.0, 9.0)
SUPPLY = np.abs(rng.standard_normal((3, 8)))
DEMAND = SUPPLY @ np.abs(rng.standard_normal(8))
FACTORS = rng.standard_normal((3, 10))
RISK = 0.1 * FACTORS.T @ FACTORS + np.diag(0.05 + 0.01 * np.arange(10.0))
RETURNS = rng.standard_normal(10) * 0.1
STEPS = np.diff(np.eye(8), axis=0)


def differences(x: Any) -> Any:
    """Sum of absolute differences of an image in CVXPY."""
    return cp.sum(cp.abs(x[1:, :] - x[:-1, :])) + cp.sum(cp.abs(x[:, 1:] - x[:, :-1]))


def blur_matrix() -> np.ndarray:
    """The circular convolution as a matrix, from its definition."""
    rows = np.zeros((64, 64))
    for i in range(8):
        for j in range(8):
            for a in range(3):
                for b in range(3):
                    rows[8 * i + j, 8 * ((i - a + 1) % 8) + (j - b + 1) % 8] += KERNEL[a, b]
    return rows


@dataclass(frozen=True)
class Case:
    """A problem, the methods that apply, and its CVXPY form: (objective, constraints) of a variable."""

    name: str
    build: Callable[[Callable[[np.ndarray], Any]], Any]
    shape: tuple[int, ...]
    reference: Callable[[Any], tuple[Any, list[Any]]]
    methods: tuple[str, ...]


TWO = (
    "ChambollePock",
    "PreconditionedChambollePock",
    "AdaptiveChambollePock",
    "ChambollePockLineSearch",
    "RestartedChambollePock",
    "LinearizedADMM",
    "ADMM",
    "AdaptiveADMM",
)
STRONG = ("AcceleratedChambollePock",)
SMOOTH = ("CondatVu", "PrimalDualThreeOperator", "AdaptivePrimalDual", "AdaptivePrimalDualLineSearch")
FIRST_ORDER = tuple(name for name in TWO if not name.endswith("ADMM") or name == "LinearizedADMM")

CASES = (
    Case(
        "denoising",
        lambda a: monops.SquaredL2().translate(a(IMAGE)) + 0.4 * monops.L1Norm() @ monops.Gradient((8, 8)),
        (8, 8),
        lambda x: (0.5 * cp.sum_squares(x - IMAGE) + 0.4 * differences(x), []),
        TWO + STRONG + SMOOTH,
    ),
    Case(
        "deblurring",
        lambda a: (
            monops.LeastSquares(monops.Convolution(a(KERNEL), (8, 8)), a(IMAGE))
            + monops.Box(0.2, 1.6)
            + 0.05 * monops.L1Norm() @ monops.Gradient((8, 8))
        ),
        (8, 8),
        lambda x: (
            0.5 * cp.sum_squares(blur_matrix() @ cp.reshape(x, (64,), order="C") - IMAGE.ravel()) + 0.05 * differences(x),
            [x >= 0.2, x <= 1.6],
        ),
        ("ChambollePock", "ADMM", "AdaptiveADMM", *SMOOTH),
    ),
    Case(
        "basis pursuit",
        lambda a: monops.L1Norm() + monops.Point(a(MEASURED)) @ monops.Matrix(a(WIDE)),
        (15,),
        lambda x: (cp.norm1(x), [WIDE @ x == MEASURED]),
        TWO,
    ),
    Case(
        "lasso behind the map",
        lambda a: 0.5 * monops.L1Norm() + monops.SquaredL2().translate(a(TARGET)) @ monops.Matrix(a(DESIGN)),
        (8,),
        lambda x: (0.5 * cp.sum_squares(DESIGN @ x - TARGET) + 0.5 * cp.norm1(x), []),
        TWO + STRONG,
    ),
    Case(
        "linear program",
        lambda a: monops.Linear(a(COSTS)) + monops.NonNegative() + monops.Point(a(DEMAND)) @ monops.Matrix(a(SUPPLY)),
        (8,),
        lambda x: (COSTS @ x, [x >= 0, SUPPLY @ x == DEMAND]),
        TWO + SMOOTH,
    ),
    Case(
        "portfolio",
        lambda a: monops.Quadratic(a(RISK), a(-RETURNS)) + monops.Simplex() + monops.Box(-0.1, 0.1) @ monops.Matrix(a(FACTORS)),
        (10,),
        lambda x: (
            0.5 * cp.quad_form(x, cp.psd_wrap(RISK)) - RETURNS @ x,
            [x >= 0, cp.sum(x) == 1, cp.abs(FACTORS @ x) <= 0.1],
        ),
        TWO + STRONG + SMOOTH,
    ),
    Case(
        "three terms",
        lambda a: (
            monops.LeastSquares(a(DESIGN), a(TARGET)) + monops.Box(-0.3, 0.3) + 0.4 * monops.L1Norm() @ monops.Matrix(a(STEPS))
        ),
        (8,),
        lambda x: (
            0.5 * cp.sum_squares(DESIGN @ x - TARGET) + 0.4 * cp.norm1(STEPS @ x),
            [x >= -0.3, x <= 0.3],
        ),
        TWO + STRONG + SMOOTH,
    ),
)
BY_NAME = {case.name: case for case in CASES}


@functools.cache
def reference(name: str) -> tuple[np.ndarray, float]:
    """Minimiser and minimum by Clarabel."""
    case = BY_NAME[name]
    x = cp.Variable(case.shape)
    objective, constraints = case.reference(x)
    problem = cp.Problem(cp.Minimize(objective), constraints)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return np.asarray(x.value), float(problem.value)


def error(name: str, answer: np.ndarray) -> float:
    """Excess of the objective, or violation of the constraints, whichever is larger, in CVXPY's arithmetic."""
    case = BY_NAME[name]
    x = cp.Variable(case.shape, value=answer)
    objective, constraints = case.reference(x)
    violation = max([float(np.max(constraint.violation())) for constraint in constraints], default=0.0)
    return max(abs(float(objective.value) - reference(name)[1]), violation)

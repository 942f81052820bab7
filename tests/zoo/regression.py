"""Regression, classification, covariance."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from monops import arrays
from tests.zoo.problem import Problem, Reference, conic, gap, linear, rng, soft, zeros

A, b = rng(0).standard_normal((30, 20)), rng(1).standard_normal(30)
WIDE, WIDE_B = rng(2).standard_normal((12, 20)), rng(3).standard_normal(12)
WEIGHT = 0.2 * float(np.max(np.abs(A.T @ b)))
LABELS = np.sign(A[:, 0] + 0.5 * A[:, 1] + 0.5 * b)
X, LEVELS = rng(4).standard_normal((30, 4)), rng(5).standard_normal(30)


# ---- lasso ---------------------------------------------------------------------------------------
def _lasso() -> Reference:
    from sklearn.linear_model import Lasso

    model = Lasso(alpha=WEIGHT / 30, fit_intercept=False, tol=1e-13, max_iter=100_000).fit(A, b)
    return Reference(model.coef_, 0.5 * float(np.sum((A @ model.coef_ - b) ** 2)) + WEIGHT * float(np.abs(model.coef_).sum()))


def _lasso_error(x: np.ndarray) -> float:
    """Fixed point of soft thresholding after a gradient step."""
    return float(np.abs(x - soft(x - A.T @ (A @ x - b), WEIGHT)).max())


# ---- elastic net ---------------------------------------------------------------------------------
def _elastic_net() -> Reference:
    from sklearn.linear_model import ElasticNet

    alpha = (1.5 + 0.5) / 12
    model = ElasticNet(alpha=alpha, l1_ratio=0.75, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(WIDE, WIDE_B)
    x = model.coef_
    value = 0.5 * np.sum((WIDE @ x - WIDE_B) ** 2) + 1.5 * np.abs(x).sum() + 0.25 * x @ x
    return Reference(x, float(value))


def _elastic_net_error(x: np.ndarray) -> float:
    return float(np.abs(x - soft(x - WIDE.T @ (WIDE @ x - WIDE_B) - 0.5 * x, 1.5)).max())


# ---- logistic regression -------------------------------------------------------------------------
def _logistic() -> Reference:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.5, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200).fit(A, LABELS)
    x = model.coef_[0]
    return Reference(x, float(np.sum(np.log1p(np.exp(-LABELS * (A @ x)))) + x @ x))


def _logistic_error(x: np.ndarray) -> float:
    """The gradient of sum log(1 + exp(-labels Ax)) + |x|^2."""
    return float(np.abs(A.T @ (-LABELS / (1.0 + np.exp(LABELS * (A @ x)))) + 2.0 * x).max())


# ---- group lasso: 6 groups of 3 --------------------------------------------------------------------
GROUPED, GROUPED_B = rng(6).standard_normal((25, 18)), rng(7).standard_normal(25)
GROUP_WEIGHT = 4.0


def _flat(matrix: np.ndarray, shape: tuple[int, ...], a: Any) -> monops.MatvecMap:
    """x of a shape -> matrix times its entries as one vector."""
    data = a(matrix)

    def apply(x: Any) -> Any:
        return data @ arrays.namespace(x).reshape(x, (-1,))

    def adjoint(y: Any) -> Any:
        return arrays.namespace(y).reshape(y @ data, shape)

    return monops.MatvecMap(apply, adjoint, shape, (matrix.shape[0],), float(np.linalg.norm(matrix, 2)) * (1 + 1e-12))


def _group_lasso() -> Reference:
    import cvxpy as cp

    x = cp.Variable((6, 3))
    loss = 0.5 * cp.sum_squares(GROUPED @ cp.vec(x, order="C") - GROUPED_B)
    return conic(x, loss + GROUP_WEIGHT * cp.sum(cp.norm(x, 2, axis=1)))


def _group_lasso_error(x: np.ndarray) -> float:
    """Fixed point of block soft thresholding after a gradient step."""
    moved = x - (GROUPED.T @ (GROUPED @ x.ravel() - GROUPED_B)).reshape(6, 3)
    size = np.linalg.norm(moved, axis=1, keepdims=True)
    return float(np.abs(x - np.maximum(1.0 - GROUP_WEIGHT / size, 0.0) * moved).max())


# ---- dual of a kernel support vector machine -------------------------------------------------------
SQUARES = np.sum((X[:, None, :] - X[None, :, :]) ** 2, axis=-1)
SIGNS = np.sign(X[:, 0] * X[:, 1] + 0.3)
KERNEL = SIGNS[:, None] * np.exp(-0.5 * SQUARES) * SIGNS[None, :]


def _support_vectors() -> Reference:
    from sklearn.svm import SVC

    model = SVC(C=2.0, kernel="rbf", gamma=0.5, tol=1e-10).fit(X, SIGNS)
    x = np.zeros(30)
    x[model.support_] = np.abs(model.dual_coef_[0])
    return Reference(x, float(0.5 * x @ KERNEL @ x - x.sum()))


def _support_vectors_error(x: np.ndarray) -> float:
    """Feasibility, and one multiplier for <labels, x> = 0 that explains the signs of the gradient."""
    gradient = SIGNS * (KERNEL @ x - 1.0)
    raising = ((x < 2.0 - 1e-6) & (SIGNS > 0)) | ((x > 1e-6) & (SIGNS < 0))
    lowering = ((x > 1e-6) & (SIGNS > 0)) | ((x < 2.0 - 1e-6) & (SIGNS < 0))
    spread = gradient[lowering].max() - gradient[raising].min()
    return float(max(spread, abs(SIGNS @ x), np.max(-x), np.max(x - 2.0), 0.0))


# ---- nonnegative least squares, isotonic regression ------------------------------------------------
def _nonnegative() -> Reference:
    import scipy.optimize

    x, norm = scipy.optimize.nnls(A, b)
    return Reference(x, 0.5 * norm**2)


def _nonnegative_error(x: np.ndarray) -> float:
    return float(np.abs(x - np.maximum(x - A.T @ (A @ x - b), 0.0)).max())


SEQUENCE = np.linspace(-1.0, 1.0, 30) + 0.7 * LEVELS
PRECISION = rng(8).uniform(0.5, 2.0, 30)


def _isotonic() -> Reference:
    from sklearn.isotonic import IsotonicRegression

    x = IsotonicRegression().fit_transform(np.arange(30.0), SEQUENCE, sample_weight=PRECISION)
    return Reference(x, 0.5 * float(PRECISION @ (x - SEQUENCE) ** 2))


def _isotonic_error(x: np.ndarray) -> float:
    """Monotone; the multipliers cumsum(w (y - x)) are nonnegative, end at 0, and vanish where x rises."""
    multipliers = np.cumsum(PRECISION * (SEQUENCE - x))
    rises = np.diff(x)
    return float(max(np.max(-rises), np.max(-multipliers), abs(multipliers[-1]), np.max(np.abs(multipliers[:-1] * rises)), 0.0))


# ---- least absolute deviations ---------------------------------------------------------------------
def _deviations() -> Reference:
    ones = np.ones(30)
    cost = np.concatenate([np.zeros(4), ones])
    rows = np.block([[X, -np.eye(30)], [-X, -np.eye(30)]])
    found = linear(cost, A_ub=rows, b_ub=np.concatenate([LEVELS, -LEVELS]), bounds=[(None, None)] * 34)
    return Reference(found.x[:4], float(found.fun))


def _deviations_error(x: np.ndarray) -> float:
    return gap(float(np.abs(X @ x - LEVELS).sum()), DEVIATIONS.reference.value)


# ---- sparse inverse covariance ---------------------------------------------------------------------
COVARIANCE = np.cov(rng(9).standard_normal((40, 6)) @ (np.eye(6) + 0.5 * np.eye(6, k=1)), rowvar=False, bias=True)
OFF_DIAGONAL = 0.1 * (1.0 - np.eye(6))


def _precision() -> Reference:
    from sklearn.covariance import graphical_lasso

    x = graphical_lasso(COVARIANCE, alpha=0.1, tol=1e-12, enet_tol=1e-12, max_iter=1000)[1]
    value = np.sum(COVARIANCE * x) - np.linalg.slogdet(x)[1] + np.sum(OFF_DIAGONAL * np.abs(x))
    return Reference(x, float(value))


def _precision_error(x: np.ndarray) -> float:
    return float(np.abs(x - soft(x - COVARIANCE + np.linalg.inv(x), OFF_DIAGONAL)).max())


DEVIATIONS = Problem(
    "least absolute deviations",
    lambda a: monops.L1Norm().translate(a(LEVELS)) @ a(X),
    zeros((4,)),
    _deviations,
    "linprog (HiGHS)",
    _deviations_error,
)

REGRESSION = (
    Problem(
        "lasso",
        lambda a: monops.LeastSquares(a(A), a(b)) + WEIGHT * monops.L1Norm(),
        zeros((20,)),
        _lasso,
        "scikit-learn Lasso",
        _lasso_error,
    ),
    Problem(
        "elastic net",
        lambda a: monops.LeastSquares(a(WIDE), a(WIDE_B)) + monops.ElasticNet(1.5, 0.5),
        zeros((20,)),
        _elastic_net,
        "scikit-learn ElasticNet",
        _elastic_net_error,
    ),
    Problem(
        "logistic regression",
        lambda a: monops.LogisticLoss(a(LABELS)) @ a(A) + monops.SquaredL2(2.0),
        zeros((20,)),
        _logistic,
        "scikit-learn LogisticRegression",
        _logistic_error,
    ),
    Problem(
        "group lasso",
        lambda a: monops.LeastSquares(_flat(GROUPED, (6, 3), a), a(GROUPED_B)) + monops.GroupL2(GROUP_WEIGHT),
        zeros((6, 3)),
        _group_lasso,
        "CVXPY and Clarabel",
        _group_lasso_error,
    ),
    Problem(
        "support vector machine, dual",
        lambda a: monops.Quadratic(a(KERNEL), a(-np.ones(30))) + monops.HyperplaneBox(a(SIGNS), 0.0, 0.0, 2.0),
        zeros((30,)),
        _support_vectors,
        "scikit-learn SVC",
        _support_vectors_error,
    ),
    Problem(
        "nonnegative least squares",
        lambda a: monops.LeastSquares(a(A), a(b)) + monops.NonNegative(),
        zeros((20,)),
        _nonnegative,
        "scipy.optimize.nnls",
        _nonnegative_error,
    ),
    Problem(
        "isotonic regression",
        lambda a: monops.SquaredL2(a(PRECISION)).translate(a(SEQUENCE)) + monops.MonotoneCone(),
        zeros((30,)),
        _isotonic,
        "scikit-learn IsotonicRegression",
        _isotonic_error,
    ),
    DEVIATIONS,
    Problem(
        "sparse inverse covariance",
        lambda a: monops.LogDeterminant().tilt(a(COVARIANCE)) + monops.L1Norm(a(OFF_DIAGONAL)),
        lambda a: a(np.eye(6)),
        _precision,
        "scikit-learn graphical_lasso",
        _precision_error,
    ),
)

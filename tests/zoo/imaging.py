"""Images, signals and matrices: total variation, low rank, sparsity."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from tests.zoo.problem import Problem, Reference, conic, gap, linear, rng, zeros

SIDE = 8
IMAGE = np.zeros((SIDE, SIDE))
IMAGE[1:5, 2:6], IMAGE[5:7, 4:8] = 1.0, 0.5
NOISY = IMAGE + 0.1 * rng(20).standard_normal((SIDE, SIDE))
STRENGTH = 0.1
KERNEL = np.array([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])
MASK = (rng(21).uniform(size=(SIDE, SIDE)) < 0.6).astype(float)


def _blur_matrix() -> np.ndarray:
    """The periodic convolution, column by column from shifted images."""
    columns = []
    for unit in np.eye(SIDE * SIDE):
        image = unit.reshape(SIDE, SIDE)
        shifts = [(i - 1, j - 1) for i in range(3) for j in range(3)]
        columns.append(sum(KERNEL[i + 1, j + 1] * np.roll(image, (i, j), (0, 1)) for i, j in shifts).ravel())
    return np.array(columns).T


BLUR = _blur_matrix()
BLURRED = (BLUR @ IMAGE.ravel()).reshape(SIDE, SIDE) + 0.05 * rng(22).standard_normal((SIDE, SIDE))
DERIVATIVE = np.diff(np.eye(SIDE), axis=0, append=np.eye(SIDE)[-1:])  # the last row is 0


def variation(x: np.ndarray) -> float:
    """Isotropic total variation."""
    return float(np.sqrt((DERIVATIVE @ x) ** 2 + (x @ DERIVATIVE.T) ** 2).sum())


def _variation_reference(fit: Any) -> Reference:
    import cvxpy as cp

    x = cp.Variable((SIDE, SIDE))
    parts = cp.vstack([cp.vec(DERIVATIVE @ x, order="C"), cp.vec(x @ DERIVATIVE.T, order="C")])
    return conic(x, fit(cp, x) + STRENGTH * cp.sum(cp.norm(parts, 2, axis=0)))


def _variation_term() -> monops.Inclusion:
    return monops.GroupL2(STRENGTH, axis=-3) @ monops.Gradient((SIDE, SIDE))


def _denoise_error(x: np.ndarray) -> float:
    return gap(0.5 * float(np.sum((x - NOISY) ** 2)) + STRENGTH * variation(x), DENOISE.reference.value)


def _deblur_error(x: np.ndarray) -> float:
    misfit = BLUR @ x.ravel() - BLURRED.ravel()
    return gap(0.5 * float(misfit @ misfit) + STRENGTH * variation(x), DEBLUR.reference.value)


def _inpaint_error(x: np.ndarray) -> float:
    return gap(0.5 * float(np.sum(MASK * (x - NOISY) ** 2)) + STRENGTH * variation(x), INPAINT.reference.value)


DENOISE = Problem(
    "total variation denoising",
    lambda a: monops.SquaredL2().translate(a(NOISY)) + _variation_term(),
    zeros((SIDE, SIDE)),
    lambda: _variation_reference(lambda cp, x: 0.5 * cp.sum_squares(x - NOISY)),
    "CVXPY and Clarabel",
    _denoise_error,
)
DEBLUR = Problem(
    "total variation deblurring",
    lambda a: monops.LeastSquares(monops.Convolution(a(KERNEL), (SIDE, SIDE)), a(BLURRED)) + _variation_term(),
    zeros((SIDE, SIDE)),
    lambda: _variation_reference(lambda cp, x: 0.5 * cp.sum_squares(BLUR @ cp.vec(x, order="C") - BLURRED.ravel())),
    "CVXPY and Clarabel",
    _deblur_error,
)
INPAINT = Problem(
    "total variation inpainting",
    lambda a: monops.LeastSquares(monops.Diagonal(a(MASK)), a(MASK * NOISY)) + _variation_term(),
    zeros((SIDE, SIDE)),
    lambda: _variation_reference(lambda cp, x: 0.5 * cp.sum_squares(cp.multiply(MASK, x - NOISY))),
    "CVXPY and Clarabel",
    _inpaint_error,
    unique=False,
)

# ---- a signal with jumps -----------------------------------------------------------------------------
SIGNAL = np.repeat([0.0, 2.0, 1.0, -1.0], 6) + 0.3 * rng(7).standard_normal(24)
DIFFERENCES = np.diff(np.eye(24), axis=0)


def _jumps() -> Reference:
    import cvxpy as cp

    x = cp.Variable(24)
    return conic(x, 0.5 * cp.sum_squares(x - SIGNAL) + 0.7 * cp.norm1(cp.diff(x)))


def _jumps_error(x: np.ndarray) -> float:
    """The running sum of x - signal lies in [-0.7, 0.7], at the bound where x jumps, and ends at 0."""
    dual, jumps = np.cumsum(x - SIGNAL), np.diff(x)
    jumping = np.abs(jumps) > 1e-4
    violation = np.where(jumping, np.abs(dual[:-1] - 0.7 * np.sign(jumps)), np.maximum(np.abs(dual[:-1]) - 0.7, 0.0))
    return float(max(violation.max(), abs(dual[-1])))


# ---- basis pursuit ------------------------------------------------------------------------------------
MEASURE = rng(23).standard_normal((8, 20))
MEASURED = MEASURE @ np.where(np.arange(20) % 8 == 3, 1.0 + np.arange(20) / 10, 0.0)


def _pursuit() -> Reference:
    found = linear(np.ones(40), A_eq=np.hstack([MEASURE, -MEASURE]), b_eq=MEASURED)
    return Reference(found.x[:20] - found.x[20:], float(found.fun))


def _pursuit_error(x: np.ndarray) -> float:
    missing = float(np.abs(MEASURE @ x - MEASURED).max())
    return max(missing, gap(float(np.abs(x).sum()), PURSUIT.reference.value))


PURSUIT = Problem(
    "basis pursuit",
    lambda a: monops.L1Norm() + monops.AffineSet(a(MEASURE), a(MEASURED)),
    zeros((20,)),
    _pursuit,
    "linprog (HiGHS)",
    _pursuit_error,
)

# ---- matrix completion, robust principal components ----------------------------------------------------
LOW_RANK = np.outer(rng(24).standard_normal(7), rng(25).standard_normal(6))
KNOWN = (rng(26).uniform(size=(7, 6)) < 0.7).astype(float)
SPIKES = np.where(rng(27).uniform(size=(7, 6)) < 0.1, 3.0, 0.0)
SPOILT = LOW_RANK + SPIKES + 0.05 * rng(28).standard_normal((7, 6))
TRADE = 0.45


def _completion() -> Reference:
    import cvxpy as cp

    x = cp.Variable((7, 6))
    return conic(x, 0.5 * cp.sum_squares(cp.multiply(KNOWN, x - LOW_RANK)) + 0.3 * cp.normNuc(x))


def _completion_error(x: np.ndarray) -> float:
    """Fixed point of soft thresholding of the singular values after a gradient step."""
    left, values, right = np.linalg.svd(x - KNOWN * (x - LOW_RANK), full_matrices=False)
    return float(np.abs(x - (left * np.maximum(values - 0.3, 0.0)) @ right).max())


def _components() -> Reference:
    import cvxpy as cp

    low, sparse = cp.Variable((7, 6)), cp.Variable((7, 6))
    return conic((low, sparse), cp.normNuc(low) + TRADE * cp.sum(cp.abs(sparse)), [low + sparse == SPOILT])


def _components_error(z: Any) -> float:
    low, sparse = z
    value = float(np.linalg.svd(low, compute_uv=False).sum() + TRADE * np.abs(sparse).sum())
    return max(gap(value, COMPONENTS.reference.value), float(np.abs(low + sparse - SPOILT).max()))


COMPONENTS = Problem(
    "robust principal components",
    lambda a: (
        monops.SeparableSum((monops.NuclearNorm(), monops.L1Norm(TRADE)))
        + monops.Point(a(SPOILT)) @ monops.Row((monops.Identity((7, 6)), monops.Identity((7, 6))))
    ),
    zeros((7, 6), (7, 6)),
    _components,
    "CVXPY and Clarabel",
    _components_error,
    unique=False,
)

IMAGING = (
    DENOISE,
    DEBLUR,
    INPAINT,
    Problem(
        "signal with jumps",
        lambda a: monops.SquaredL2().translate(a(SIGNAL)) + 0.7 * monops.L1Norm() @ monops.Matrix(a(DIFFERENCES)),
        zeros((24,)),
        _jumps,
        "CVXPY and Clarabel",
        _jumps_error,
        tolerance=1e-3,
    ),
    PURSUIT,
    Problem(
        "matrix completion",
        lambda a: monops.LeastSquares(monops.Diagonal(a(KNOWN)), a(KNOWN * LOW_RANK)) + monops.NuclearNorm(0.3),
        zeros((7, 6)),
        _completion,
        "CVXPY and Clarabel",
        _completion_error,
    ),
    COMPONENTS,
)

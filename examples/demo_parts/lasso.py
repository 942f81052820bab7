"""Lasso path on scikit-learn's diabetes data."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import lasso_path

import monops
from examples.demo_parts import Part, Tick

VALUES = 40


def run(tick: Tick) -> Part:
    """Forty weights, each started from the solution of the one before; compared with scikit-learn."""
    data = load_diabetes()
    A = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    b = data.target - data.target.mean()
    largest = float(np.max(np.abs(A.T @ b)))
    weights = np.geomspace(largest, 1e-3 * largest, VALUES)
    x, path, iterations = np.zeros(A.shape[1]), [], 0
    loss = monops.LeastSquares(A, b)
    result = None
    for index, weight in enumerate(weights):
        result = monops.solve(loss + weight * monops.L1Norm(), x0=x, tol=1e-6)
        x = result.require().x
        path.append(x)
        iterations += result.iterations
        tick((index + 1) / VALUES)
    assert result is not None
    coefficients = np.array(path)
    _, reference, _ = lasso_path(A, b, alphas=weights / len(b), tol=1e-12, max_iter=100_000)
    difference = float(np.max(np.abs(coefficients.T - reference)))

    part = Part(
        "Lasso path: which of ten measurements predict diabetes progression",
        f"{VALUES} lassos by {result.algorithm.name}, {iterations} iterations, largest difference to scikit-learn {difference:.1e}",
    )
    part.check(difference < 1e-4, f"the lasso path differs from scikit-learn by {difference:.2e}")
    part.text(
        f"minimise ½‖Ax − b‖² + λ‖x‖₁ for {VALUES} values of λ on 442 patients and 10 standardised measurements. "
        f"<code>monops.solve</code> picked <b>{result.algorithm.name}</b> by itself. Every solution carries a residual of at "
        f"most 1e-6 and a certified distance to the exact solution (last one: {result.error_bound:.1e}). Largest difference "
        f"to scikit-learn's coordinate descent: <b>{difference:.1e}</b>."
    )
    figure, axes = plt.subplots(figsize=(7, 4))
    for column, name in enumerate(data.feature_names):
        axes.plot(weights, coefficients[:, column], label=name)
    axes.set(xscale="log", xlabel="weight λ of the ℓ₁ norm", ylabel="coefficient")
    axes.invert_xaxis()
    axes.legend(ncol=2, fontsize=8)
    part.figure(figure, "Coefficients appear one after the other as the weight falls.")
    part.code(str(monops.explain(loss + float(weights[-1]) * monops.L1Norm())))
    return part

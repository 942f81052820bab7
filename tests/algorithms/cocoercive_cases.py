"""Problems for the cocoercive family, and the states of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from monops.solve import as_inclusion

generator = np.random.default_rng(11)
A = generator.standard_normal((18, 12))
b = generator.standard_normal(18)
LABELS = np.sign(generator.standard_normal(18))
F = generator.standard_normal((12, 12))
P, q = F.T @ F / 12 + 0.2 * np.eye(12), generator.standard_normal(12)
WEIGHT = 0.8


def after(method: Any, problem: Any, x0: Any, steps: int) -> tuple[Any, list[Any]]:
    """Terms, and all states of some steps."""
    terms = method.match(as_inclusion(problem))
    states = [method.init(terms, x0)]
    for _ in range(steps):
        states.append(method.step(terms, states[-1]))
    return terms, states


PROBLEMS = {
    "lasso": lambda: monops.LeastSquares(A, b) + WEIGHT * monops.L1Norm(),
    "elastic net": lambda: monops.LeastSquares(A, b) + monops.ElasticNet(WEIGHT, 0.5),
    "logistic": lambda: monops.LogisticLoss(LABELS) @ monops.Matrix(A) + WEIGHT * monops.L1Norm(),
    "box quadratic": lambda: monops.Quadratic(P, q) + monops.Box(-0.4, 0.4),
    "smooth": lambda: monops.LogisticLoss(LABELS) @ monops.Matrix(A) + monops.Quadratic(P, q),
    "three terms": lambda: monops.LeastSquares(A, b) + WEIGHT * monops.L1Norm() + monops.Box(-0.1, 0.3),
    "four terms": lambda: monops.LeastSquares(A, b) + WEIGHT * monops.L1Norm() + monops.L2Ball(0.3) + monops.HalfSpace(q, -0.1),
}

"""What the framework costs: ForwardBackward on a lasso against a hand-written NumPy loop of the same method.

Both run the same number of iterations from the same start with the same step; ours with default settings, stopping checks
included. Pairs of runs alternate, so that a drifting machine hits both; the medians of the pairs are shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import monops


def hand_loop(A: np.ndarray, b: np.ndarray, weight: float, step: float, iterations: int) -> np.ndarray:
    """Proximal gradient as a researcher would write it."""
    x = np.zeros(A.shape[1])
    threshold = step * weight
    for _ in range(iterations):
        v = x - step * (A.T @ (A @ x - b))
        x = v - np.maximum(np.minimum(v, threshold), -threshold)
    return x


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(rows: int, columns: int, iterations: int, repeats: int) -> tuple[float, float, float]:
    """Microseconds an iteration of the hand loop and of monops (medians), and the largest difference of the answers."""
    generator = np.random.default_rng(0)
    A, b = generator.standard_normal((rows, columns)), generator.standard_normal(rows)
    weight = 0.01 * float(np.max(np.abs(A.T @ b)))
    problem = monops.LeastSquares(A, b) + weight * monops.L1Norm()
    method = monops.ForwardBackward()
    step = method.match(problem).step_size

    def ours() -> np.ndarray:
        return monops.solve(problem, method, tol=0.0, max_iter=iterations, on_failure="ignore").x

    def hand() -> np.ndarray:
        return hand_loop(A, b, weight, step, iterations)

    taken = monops.solve(problem, method, tol=0.0, max_iter=iterations, on_failure="ignore").iterations
    if taken != iterations:
        raise RuntimeError(f"the run ended after {taken} of {iterations} iterations, so the times are not comparable")
    difference = float(np.max(np.abs(ours() - hand())))
    pairs = [(seconds(hand), seconds(ours)) for _ in range(repeats)]
    scale = 1e6 / iterations
    return statistics.median(h for h, _ in pairs) * scale, statistics.median(o for _, o in pairs) * scale, difference


def main() -> None:
    """Print the table."""
    print("ForwardBackward on a lasso (rows = n/2, float64); microseconds an iteration, medians of alternating runs")
    print(
        f"{'n':>6} {'iterations':>11} {'hand loop':>11} {'monops':>11} {'ratio':>7} {'overhead us':>12} {'max difference':>15}"
    )
    for n, iterations, repeats in ((100, 2000, 41), (1000, 1000, 7), (2000, 300, 7), (4000, 100, 7)):
        hand, ours, difference = compare(n // 2, n, iterations, repeats)
        print(
            f"{n:>6} {iterations:>11} {hand:>11.2f} {ours:>11.2f} {ours / hand:>7.2f} {ours - hand:>12.2f} {difference:>15.1e}"
        )

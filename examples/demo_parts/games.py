"""A matrix game and an asymmetric traffic equilibrium, each by two methods that agree."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np

import monops
from examples.demo_parts import Part, Tick

SOLDIERS, FIELDS = 6, 3


def blotto() -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Colonel Blotto: payoff of column against row, and the deployments of 6 soldiers on 3 battlefields."""
    deployments = [split for split in itertools.product(range(SOLDIERS + 1), repeat=FIELDS) if sum(split) == SOLDIERS]
    table = np.array([[sum(np.sign(np.subtract(theirs, ours))) for ours in deployments] for theirs in deployments], dtype=float)
    return np.sign(table), deployments


def traffic() -> monops.Inclusion:
    """Route flows on three routes; the cost of each also rises, asymmetrically, with the flows on the others."""
    costs = np.array([[4.0, 0.5, 0.0], [1.5, 3.0, 0.5], [0.0, 1.0, 5.0]])
    free = np.array([10.0, 12.0, 9.0])
    return monops.Affine(costs, free) + monops.NormalCone(monops.Simplex(total=10.0))


def run(tick: Tick) -> Part:
    """Solve both problems by two methods each."""
    payoff, deployments = blotto()
    game = monops.Saddle(monops.Simplex(), monops.Simplex(), payoff)
    n = len(deployments)
    start = monops.Blocks((np.full(n, 1 / n), np.full(n, 1 / n)))
    answers = []
    for index, method in enumerate((monops.ForwardBackwardForward(), monops.ChambollePock())):
        result = monops.solve(game, method, x0=start, tol=1e-7, max_iter=100_000, history=True).require()
        x, y = result.x
        answers.append((result, float(y @ payoff @ x), float(np.max(payoff @ x) - np.min(payoff.T @ y))))
        tick((index + 1) / 4)
    flows = []
    for index, method in enumerate((monops.ForwardBackward(), monops.DouglasRachford())):
        flows.append(monops.solve(traffic(), method, x0=np.full(3, 10 / 3), tol=1e-9).require())
        tick((index + 3) / 4)
    values = abs(answers[0][1] - answers[1][1])
    apart = float(np.linalg.norm(flows[0].x - flows[1].x))
    part = Part(
        "Games and traffic: monotone inclusions that are no minimisation",
        f"Blotto game value {answers[0][1]:+.1e}, methods differ by {values:.1e}; traffic flows differ by {apart:.1e}",
    )
    part.check(values < 1e-6, f"two methods give game values {values:.2e} apart")
    part.check(max(gap for _, _, gap in answers) < 1e-5, "the duality gap of the game is larger than 1e-5")
    part.check(apart < 1e-6, f"two methods give traffic flows {apart:.2e} apart")
    part.text(
        f"<b>Colonel Blotto</b>: both sides spread {SOLDIERS} soldiers over {FIELDS} battlefields ({n} deployments); who takes "
        "more of them wins. The game is symmetric, so its value is 0; the duality gap bounds what either side could still gain."
    )
    rows = [
        [result.algorithm.name, result.iterations, f"{value:+.1e}", f"{gap:.1e}", f"{result.residual:.1e}"]
        for result, value, gap in answers
    ]
    part.table(["method", "iterations", "value", "duality gap", "residual"], rows)
    part.text(
        "<b>Traffic</b>: 10 units of flow choose among three routes whose costs depend on each other asymmetrically, so that no "
        "potential exists. At the equilibrium all used routes cost the same."
    )
    costs = [traffic().terms[0].forward(result.x) for result in flows]
    rows = [
        [result.algorithm.name, result.iterations, np.round(result.x, 6), np.round(cost, 6), f"{result.error_bound:.1e}"]
        for result, cost in zip(flows, costs, strict=True)
    ]
    part.table(["method", "iterations", "flows", "route costs", "certified error"], rows)
    figure, axes = plt.subplots(figsize=(6, 3.2))
    for result, _, _ in answers:
        axes.loglog(*zip(*result.history, strict=True), label=result.algorithm.name)
    axes.set(xlabel="iteration", ylabel="residual")
    axes.legend()
    part.figure(figure, "The matrix game: residual of both methods.")
    return part

"""
From a problem to a fixed point
===============================

The road of this library, walked once: a problem becomes an inclusion, the inclusion the fixed point of a map, the map an
iteration, and the iteration ends in a certified answer.
"""

# %%
# A problem
# ---------
# Fit a sparse vector to data: minimise one half the squared misfit plus a multiple of the sum of absolute values.
import matplotlib.pyplot as plt
import numpy as np

import monops

rng = np.random.default_rng(0)
A = rng.standard_normal((40, 60))
truth = np.zeros(60)
truth[[3, 17, 42]] = [2.0, -1.5, 1.0]
b = A @ truth + 0.05 * rng.standard_normal(40)

smooth, simple = monops.LeastSquares(A, b), 2.0 * monops.L1Norm()
problem = smooth + simple
print(problem)

# %%
# An inclusion
# ------------
# A minimiser is a point where zero is in the sum of the subdifferentials. Each summand knows its constants, and where they
# come from: bounds that hold, not guesses.
for name in ("strong_monotonicity", "cocoercivity", "lipschitz"):
    print(f"{name:20} {getattr(smooth.constants, name):.5f}   {smooth.constants.reasons[name]}")
print("of the sum: mu =", problem.constants.strong_monotonicity)

# %%
# A fixed point
# -------------
# Zero is in Ax + Bx exactly if x = J(x - step Bx), with the resolvent J = (I + step A)^-1: for the l1 norm,
# soft-thresholding. The map is averaged for every step below 2 beta, so its iteration converges.
step = smooth.constants.cocoercivity
x = np.zeros(60)
for _ in range(2000):
    x = simple.prox(x - step * smooth.gradient(x), step)
print("moves by", np.linalg.norm(x - simple.prox(x - step * smooth.gradient(x), step)))

# %%
# An iteration
# ------------
# Which methods have a theorem for this problem, with which steps? And which have not, and why?
print(monops.explain(problem))

# %%
# A step outside the interval is not taken.
try:
    monops.solve(problem, monops.ForwardBackward(step_size=1.0))
except monops.errors.StepSizeError as refusal:
    print(refusal)

# %%
# A certified answer
# ------------------
# The residual is the norm of an explicit element of the sum of operators at the answer: the same meaning for every method.
results = [
    monops.solve(problem, method, tol=1e-8, max_iter=20_000, history=True)
    for method in (monops.ForwardBackward(), monops.AcceleratedForwardBackward(), monops.DouglasRachford())
]
print(results[1])

figure, axes = plt.subplots(figsize=(6, 3.5))
for result in results:
    axes.loglog(*zip(*result.history, strict=True), label=result.algorithm.name)
axes.set(xlabel="iteration", ylabel="residual")
axes.legend()
figure.tight_layout()

# %%
# Two methods that have nothing in common but the inclusion agree.
print("largest difference:", np.max(np.abs(results[0].x - results[2].x)))

# %%
# The same road without an objective
# ----------------------------------
# A monotone operator need not be a gradient. Here a rotation-like matrix and the normal cone of the nonnegative vectors: a
# complementarity problem. Forward-backward splitting has a small step here; Tseng's method needs only the Lipschitz constant.
M = np.array([[0.1, 2.0], [-2.0, 0.1]])
inclusion = monops.Affine(M, np.array([-1.0, 1.0])) + monops.NormalCone(monops.NonNegative())
print(monops.solve(inclusion, monops.ForwardBackwardForward()))

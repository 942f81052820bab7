"""
Tuning a lasso by its derivative
================================

The weight of a penalty is usually found on a grid. The solution has a derivative in it, and a grid is not needed: here one
weight for each coefficient is found by gradient descent on the error on held-out data.
"""

# %%
# Data
# ----
# Forty rows to fit, forty to judge by. Five of thirty coefficients count.
import matplotlib.pyplot as plt
import torch

import monops
from monops.differentiate import differentiable_solve

torch.manual_seed(0)
A, held_out = torch.randn(2, 40, 30, dtype=torch.float64)
truth = torch.zeros(30, dtype=torch.float64)
truth[:5] = torch.tensor([3.0, -2.0, 1.5, -1.0, 1.0], dtype=torch.float64)
b = A @ truth + torch.randn(40, dtype=torch.float64)
b_held_out = held_out @ truth + torch.randn(40, dtype=torch.float64)


def validation(weights):
    """The solution for these weights, and its mean squared error on the rows that it has not seen."""
    x = differentiable_solve(monops.LeastSquares(A, b) + monops.L1Norm(weights)).x
    return x, torch.mean((held_out @ x - b_held_out) ** 2)


# %%
# One number: the derivative against the grid
# -------------------------------------------
# One weight for all coefficients. Its derivative comes from one adjoint equation at the solution, whatever the number of
# iterations that led there.
grid = torch.logspace(-1, 2, 40, dtype=torch.float64)
errors, slopes = [], []
for value in grid:
    weight = value.clone().requires_grad_()
    error = validation(weight)[1]
    error.backward()
    errors.append(error.item())
    slopes.append(weight.grad.item())
best = errors.index(min(errors))
print(f"best of the grid: weight {grid[best]:.3g}, error {errors[best]:.3f}; slope there {slopes[best]:.3g}")

figure, axes = plt.subplots(figsize=(6, 3.5))
axes.semilogx(grid, errors, ".-", label="held-out error")
axes.semilogx(grid, [weight * slope for weight, slope in zip(grid, slopes, strict=True)], label="derivative in log(weight)")
axes.axhline(0.0, color="0.8", zorder=0)
axes.set(xlabel="weight", ylim=(-5, 10))
axes.legend()
figure.tight_layout()

# %%
# Thirty numbers: no grid
# -----------------------
# One weight a coefficient, from the best of the grid on; logarithms, so that weights stay positive.
logarithms = torch.full((30,), grid[best].log().item(), dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.Adam([logarithms], lr=0.1)
path = []
for _ in range(60):
    optimizer.zero_grad()
    x, error = validation(logarithms.exp())
    error.backward()
    optimizer.step()
    path.append(error.item())
print(f"held-out error from {path[0]:.3f} to {path[-1]:.3f}")
print(f"distance from the truth: {torch.linalg.vector_norm(x - truth):.3f}; the penalised coefficients it got rid of:")
print(f"{int((x[5:] == 0).sum())} of 25 are 0")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5))
left.plot(path)
left.set(xlabel="step", ylabel="held-out error")
right.bar(range(30), logarithms.exp().detach())
right.set(xlabel="coefficient (the first five count)", ylabel="weight", yscale="log")
figure.tight_layout()

# %%
# Thirty weights fitted to forty rows fit these rows, too: judge the result on a third part of the data before believing it.
fresh = torch.randn(10_000, 30, dtype=torch.float64)
for name, weights in (("one weight", grid[best].clone().requires_grad_()), ("thirty weights", logarithms.exp())):
    print(f"{name:15} error on fresh rows {1.0 + torch.mean((fresh @ (validation(weights)[0] - truth)) ** 2).item():.3f}")

# %%
# Where a coefficient is about to leave 0, the solution has a kink, and its derivative is one of the two sides: see the notes of
# ``differentiable_solve``.

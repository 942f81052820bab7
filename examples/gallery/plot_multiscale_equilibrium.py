"""
Segmentation by a multiscale equilibrium
========================================

Is this pixel inside of a disc or of a ring? One resolution alone cannot say: the edges are fine, and what they enclose is
coarse. A multiscale equilibrium has states at several resolutions that settle together.
"""

# %%
# Pictures with a class for every pixel
# -------------------------------------
# Overlapping discs, crosses, triangles and rings with noise. Colours do not tell one shape from another. All of it follows from a seed.
import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from monops_nn.multiscale import (
    CLASSES,
    count_parameters,
    generate_shapes,
    mean_intersection_over_union,
    monotone_multiscale,
    multiscale,
)

torch.manual_seed(0)
SIZE = 20
train, test = generate_shapes(400, SIZE, seed=0), generate_shapes(100, SIZE, seed=1)
print(f"{len(train.images)} pictures of {SIZE} x {SIZE} pixels, classes: {', '.join(CLASSES)}")

# %%
# Three resolutions, solved jointly
# ---------------------------------
# The states have 8, 16 and 24 maps of 20 x 20, 10 x 10 and 5 x 5 pixels. Every resolution has a residual block, and all of them
# are fused; what is looked for is the point where nothing moves any more. Anderson's method finds it, once for all samples of a
# batch, and every sample has its own status.
network = multiscale(
    (3, SIZE, SIZE), len(CLASSES), channels=(8, 16, 24), segment=True, tol=1e-2, max_iter=20, on_failure="ignore"
)
solution = network.body.solve(network.features(test.images))
print(f"{count_parameters(network)} parameters")
print(solution)

# %%
# Training
# --------
# The gradient is that of the equilibrium, by the implicit function theorem: one more fixed point, linear, and no iterate is
# kept. Eight epochs of Adam.
EPOCHS, BATCH = 8, 16
optimizer = torch.optim.Adam(network.parameters(), lr=6e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=EPOCHS * len(train.images) // BATCH)
losses, steps, unions = [], [], []


@torch.no_grad()
def union(model: torch.nn.Module) -> float:
    """Mean intersection over union on the test pictures."""
    return mean_intersection_over_union(model(test.images).argmax(1), test.labels, len(CLASSES))


for _ in range(EPOCHS):
    for rows in torch.randperm(len(train.images)).split(BATCH):
        loss = functional.cross_entropy(network(train.images[rows]), train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    solution = network.body.solve(network.features(test.images))
    steps.append(float(solution.iterations.double().mean()))
    unions.append(union(network))
print(f"mean intersection over union on the test pictures: {unions[-1]:.3f}")
print(solution)

# %%
# The loss falls, the union rises, and the equilibrium becomes harder to find: the states have come to depend on each other. Some
# samples may need more than the 20 iterations allowed; :func:`monops_nn.deq.jacobian_penalty` in the loss keeps the solver fast.
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
axes[0].plot(losses)
axes[0].set(xlabel="step", ylabel="cross-entropy of a pixel")
axes[1].plot(range(1, EPOCHS + 1), unions, marker="o")
axes[1].set(xlabel="epoch", ylabel="mean intersection over union", ylim=(0, 1))
axes[2].plot(range(1, EPOCHS + 1), steps, marker="o", color="tab:orange")
axes[2].set(xlabel="epoch", ylabel="iterations, mean of the samples", ylim=(0, 20))

# %%
# What it sees
# ------------
# Five pictures of the test set, the classes as they are and as they are found, and one map of each resolution.
with torch.no_grad():
    z = network.states(test.images[:5])
    found = network.read(z).argmax(1)
figure, axes = plt.subplots(6, 5, figsize=(7, 8.5), layout="constrained")
titles = ("picture", "classes", "found", "20 x 20", "10 x 10", "5 x 5")
for k in range(5):
    shown = (0.5 + 0.3 * test.images[k]).clamp(0, 1).permute(1, 2, 0)
    axes[0, k].imshow(shown)
    for row, labels in ((1, test.labels[k]), (2, found[k])):
        axes[row, k].imshow(labels, cmap="tab10", vmin=0, vmax=9)
    for row, part in enumerate(z):
        most = part.flatten(2).std(2).mean(0).argmax()  # the map that says most
        axes[3 + row, k].imshow(part[k, most], cmap="gray")
for row, title in enumerate(titles):
    axes[row, 0].set_ylabel(title)
for place in axes.flat:
    place.set(xticks=[], yticks=[])

# %%
# With a guarantee
# ----------------
# Nothing says that such a cell has one equilibrium, or any. Its monotone counterpart does: I - W = m I + A'A - (B - B'), where
# A leads from fine to coarse and the skew part both ways. From any start the same state is reached.
monotone = monotone_multiscale((3, SIZE, SIZE), len(CLASSES), channels=(8, 16, 24), segment=True, tol=1e-4)
with torch.no_grad():
    features = monotone.features(test.images[:8])
    first = monotone.body(features)
    second = monotone.body(features, z0=tuple(10 * torch.randn_like(part) for part in first))
    apart = max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))
print(f"largest difference of two solves from different starts: {apart:.1e}")
print(f"m = {monotone.body.linear.certified_monotonicity:g}, proven by construction")
plt.show()

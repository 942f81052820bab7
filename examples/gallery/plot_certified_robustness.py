"""
Certified robustness: how far an image may be moved
===================================================

An equilibrium network with sym(I - W) >= m I cannot move its state faster than norm(U)/m times its input. That is a certificate:
as long as the scores lead by enough, no change of the image within a radius changes the class. How large the radius is depends
on how the certificate is read: here five readings of growing sharpness stand beside an attack, which none may contradict.
"""

# %%
# Two networks on small digits
# ----------------------------
# One is trained with plain cross-entropy; the other with the scores moved against it by what a certificate allows within the
# distance 0.4, so that it learns to be certified there. Pixels are in [0, 1].
import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from monops_nn.certificates import (
    METHODS,
    RobustClassifier,
    attack,
    certified_radii,
    certified_table,
    lipschitz_bounds,
    observed_lipschitz,
    quantise,
)
from monops_nn.datasets import load_digits
from monops_nn.models import dense

torch.set_num_threads(1)
digits = load_digits()
x, test = (torch.from_numpy(images).reshape(-1, 1, 8, 8) for images in (digits.train_images, digits.test_images))
labels, test_labels = torch.from_numpy(digits.train_labels), torch.from_numpy(digits.test_labels)


def train(margin, steps=400):
    """A network with the scores of wrong classes raised by what they may gain within the margin."""
    torch.manual_seed(0)
    model = RobustClassifier(dense((1, 8, 8), 24, 10, m=5.0, tol=1e-4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / steps)
        rows = torch.randint(len(x), (256,))
        scores = model(x[rows])
        if margin:
            scores = scores + margin * model.pairwise("multiplier")[labels[rows]]
        loss = functional.cross_entropy(scores, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


plain, robust = train(0.0), train(0.4)

# %%
# How steep are they?
# -------------------
# norm(C) norm(U)/m bounds all scores together. The certificate with a positive diagonal matrix of multipliers, improved by gradient
# steps and then proven by a Cholesky factorisation with room for rounding, is sharper: here it agrees to four digits
# with the largest Jacobian that a search finds, below which no bound can be.
for name, model in (("plain", plain), ("with margin", robust)):
    print(f"{name}\n{lipschitz_bounds(model)}\n  {observed_lipschitz(model, test[:100])}\n")

# %%
# Certified accuracy
# ------------------
# From the published rule, half the margin over the bound, to pairs of classes, to multipliers for each pair, to sectors that
# hold near the image only. The line of the attack (projected gradient, 20 steps) is an upper limit for all of them.
radii = [0.05 * k for k in range(1, 21)]
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
for title, model, ax in (("plain cross-entropy", plain, axes[0]), ("trained with a margin of 0.4", robust, axes[1])):
    table = certified_table(model, test, test_labels, radii=radii, attack_steps=20)
    for method in METHODS:
        ax.plot(radii, table.certified[method], label=f"certified: {method}")
    ax.plot(radii, table.attacked, "k--", label="attacked")
    ax.set(title=f"{title}, clean {100 * table.accuracy:.1f} %", xlabel="distance in the 2-norm", ylim=(0, 1.02))
    print(f"{title}: {table.broken} certified samples were broken")
axes[0].set_ylabel("accuracy on the test set")
axes[1].legend(fontsize=8)
figure.tight_layout()

# %%
# One image
# ---------
# The image that is certified farthest, and the nearest error that the attack finds: between the two radii nothing is known, and
# with a margin hardly anything lies between them.
figure, axes = plt.subplots(2, 3, figsize=(7, 4.6))
for row, (name, model) in zip(axes, (("plain", plain), ("margin", robust)), strict=True):
    found = certified_radii(model, test[:60], test_labels[:60], method="local")
    k = int(torch.where(found.correct, found.radius, 0.0).argmax())
    tried = attack(model, test[k : k + 1], test_labels[k : k + 1], 4.0, restarts=3)
    wrong = int(model(tried.points).argmax())
    pictures = (test[k], tried.points[0], tried.points[0] - test[k])
    texts = (
        f"{name}: a {int(test_labels[k])}, certified to {float(found.radius[k]):.2f}",
        f"a {wrong} at {float(tried.radius):.2f}",
        "difference",
    )
    for ax, picture, text in zip(row, pictures, texts, strict=True):
        limits = (
            {"vmin": -0.6, "vmax": 0.6, "cmap": "RdBu"} if text == "difference" else {"vmin": 0, "vmax": 1, "cmap": "gray_r"}
        )
        ax.imshow(picture[0].detach(), **limits)
        ax.set_title(text, fontsize=8)
        ax.axis("off")
figure.tight_layout()

# %%
# Fewer bits
# ----------
# Rounding W by less than m in the 2-norm leaves exactly one equilibrium; this is known before the first image is seen.
for bits in (3, 4, 6, 8):
    print(quantise(robust.network.layer, bits))

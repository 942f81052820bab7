"""Certified accuracy and accuracy under attack against the radius, by every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops_nn.certificates.attack import attack
from monops_nn.certificates.lipschitz import LipschitzBounds, lipschitz_bounds
from monops_nn.certificates.network import network_of
from monops_nn.certificates.radius import METHODS, certified_radii

RADII = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True, eq=False)
class Table:
    """Accuracies against radii.

    Attributes
    ----------
    radii : tuple of float
    certified : dict from method to list of float
    attacked : list of float or None
        The part that withstood projected gradient descent; None where it was not asked for.
    broken : int
        Certified samples for which the attack found an error: 0, unless something is wrong.
    accuracy : float
    bounds : LipschitzBounds
    """

    radii: tuple[float, ...]
    certified: dict[str, list[float]]
    attacked: list[float] | None
    broken: int
    accuracy: float
    bounds: LipschitzBounds

    def __str__(self) -> str:
        titles = [*self.certified, *([] if self.attacked is None else ["attacked"])]
        columns = [*self.certified.values(), *([] if self.attacked is None else [self.attacked])]
        lines = ["radius  " + "  ".join(f"{title:>14}" for title in titles)]
        for k, radius in enumerate(self.radii):
            lines.append(f"{radius:<6g}  " + "  ".join(f"{100 * column[k]:13.2f}%" for column in columns))
        if self.attacked is not None:
            lines.append(f"certified samples that the attack broke: {self.broken}")
        return f"clean accuracy {100 * self.accuracy:.2f}%\n" + "\n".join(lines)


def certified_table(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    *,
    radii: Sequence[float] = RADII,
    methods: Sequence[str] = METHODS,
    pixel: float = 1.0,
    attack_steps: int = 0,
    restarts: int = 1,
) -> Table:
    """The table of certified accuracies in the 2-norm, with an attack beside it.

    Parameters
    ----------
    model, x, labels, pixel : as for `certified_radii`
    radii : sequence of float
    methods : sequence of str
        Of `certified_radii`.
    attack_steps : int, default 0
        Of projected gradient ascent at each radius, and at each sample's own certified radius; 0 does not attack.
    restarts : int, default 1

    Returns
    -------
    Table

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(MonDEQ(MonotoneLinear(6), injection=3), torch.nn.Linear(6, 3))
    >>> x = torch.randn(8, 3)
    >>> table = certified_table(model, x, model(x).argmax(1), radii=(0.01,), attack_steps=5)
    >>> table.broken, table.certified["pairs"] <= table.certified["local"] <= table.attacked
    (0, True)
    """
    network = network_of(model)
    bounds = lipschitz_bounds(network)
    found = {method: certified_radii(network, x, labels, method=method, bounds=bounds, pixel=pixel) for method in methods}  # type: ignore[arg-type]
    correct = next(iter(found.values())).correct
    best = torch.stack([result.radius for result in found.values()]).amax(0)
    attacked, broken = None, 0
    if attack_steps:
        attacked = []
        own: list[float | Tensor] = [*radii, best.clamp(max=1e6)]
        for radius in own:
            tried = attack(model, x, labels, radius, steps=attack_steps, restarts=restarts, pixel=pixel)
            broken += int((tried.success & correct & (best >= tried.radius)).sum())
            attacked.append(tried.accuracy)
        attacked.pop()
    certified = {method: result.accuracy(radii) for method, result in found.items()}
    return Table(tuple(radii), certified, attacked, broken, float(correct.double().mean()), bounds)

"""Projected gradient attacks on equilibrium networks, by the implicit gradient: what no certificate may contradict."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from monops.errors import DataError, ShapeError
from monops_nn.mondeq import MonDEQ

Norm = Literal["l2", "linf"]
TOLERANCE = 1e-9
BISECTIONS = 12


@dataclass(frozen=True, eq=False)
class Attack:
    """What an attack found.

    Attributes
    ----------
    success : tensor (batch,)
        Whether the model errs on the sample itself or on a point within the radius.
    radius : tensor (batch,)
        The smallest distance at which an error was seen: 0 where the sample itself is wrong, infinite where none was seen.
    points : tensor, like the samples
        The errors at these distances; the sample itself where there is none, or where it is one.
    norm : str
    """

    success: Tensor
    radius: Tensor
    points: Tensor
    norm: str

    @property
    def accuracy(self) -> float:
        """The part of the samples that withstood it."""
        return float((~self.success).double().mean())

    def __str__(self) -> str:
        return f"{self.norm} attack on {len(self.success)} samples: {100 * self.accuracy:.2f} % withstood it"


def attack(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    radius: float | Tensor,
    *,
    norm: Norm = "l2",
    steps: int = 20,
    restarts: int = 1,
    pixel: float = 1.0,
    box: tuple[float, float] | None = None,
    seed: int = 0,
) -> Attack:
    """Look for a point within a radius of each sample that is given another class.

    Projected gradient ascent on max_{j != k} l_j - l_k, k the label, with steps that shrink from the radius to a hundredth of
    it; the first run starts at the sample, others at random. What it finds is then moved towards the sample by bisection.

    Parameters
    ----------
    model : nn.Module
        Inputs to scores; a copy in float64 is attacked, whose equilibrium layers are solved to a relative residual of 1e-9.
    x : tensor (batch, ...)
    labels : tensor (batch,), int64
    radius : float or tensor (batch,)
        One for all, or one each.
    norm : {"l2", "linf"}, default "l2"
    steps, restarts : int, default 20 and 1
    pixel : float, default 1.0
        What a unit of the radius is in units of x, as for `certified_radii`.
    box : (float, float), optional
        Points stay in this interval, entry by entry, in units of x. Default: everywhere, which is what certificates cover.
    seed : int, default 0

    Returns
    -------
    Attack

    Raises
    ------
    DataError, ShapeError
        Another norm, numbers that are not positive, labels that do not fit.

    Notes
    -----
    Gradients are exact, in evaluation mode too: those of the implicit function theorem. **Cost** one pass forward and backward
    for each step and sample that still withstands, and twelve forward ones.

    References
    ----------
    Madry, Makelov, Schmidt, Tsipras and Vladu (2018), Towards deep learning models resistant to adversarial attacks. Carlini
    and Wagner (2017), for the difference of scores.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.eye(2))
    >>> found = attack(model, torch.tensor([[1.0, 0.0]]), torch.tensor([0]), 1.0)
    >>> bool(found.success), round(float(found.radius), 3)
    (True, 0.707)
    """
    if norm not in ("l2", "linf"):
        raise DataError(f'norm={norm!r} must be "l2" or "linf"')
    for name, count in (("steps", steps), ("restarts", restarts)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise DataError(f"{name}={count!r} must be a positive integer")
    given, x = x, x.detach().double()
    reach = torch.as_tensor(radius, dtype=torch.float64)
    if reach.ndim and reach.shape != (len(x),):
        raise ShapeError(f"radius has shape {tuple(reach.shape)}, but x has {len(x)} samples")
    if not bool((torch.isfinite(reach) & (reach >= 0)).all()) or not 0 < pixel < math.inf:
        raise DataError(f"radius and pixel must be finite, and not negative: got radius={radius}, pixel={pixel}")
    if tuple(labels.shape) != (len(x),):
        raise ShapeError(f"labels have shape {tuple(labels.shape)}, but x has {len(x)} samples")
    exact = _exact(model)
    reach = (reach / pixel).expand(len(x)).clone()
    found = torch.full((len(x),), math.inf, dtype=x.dtype)
    points = x.clone()
    with torch.no_grad():
        found[_lead(exact(x), labels) >= 0] = 0.0
    generator = torch.Generator().manual_seed(seed)
    for restart in range(restarts):
        rows = torch.nonzero(torch.isinf(found) & (reach > 0))[:, 0]
        if not len(rows):
            break
        start = torch.zeros_like(x[rows]) if restart == 0 else _random(x[rows], reach[rows], norm, generator)
        hit = _ascend(exact, x[rows], labels[rows], reach[rows], start, norm, steps, box)
        wrong = torch.nonzero(hit[0])[:, 0]
        taken = rows[wrong]
        nearest = _towards(exact, x[taken], labels[taken], hit[1][wrong])
        points[taken], found[taken] = nearest, _length(nearest - x[taken], norm)
    return Attack(torch.isfinite(found), found * pixel, points.to(given.dtype), norm)


def _exact(model: nn.Module) -> nn.Module:
    made = copy.deepcopy(model).double().eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, MonDEQ):
            module.tol, module.gradient, module.max_iter = min(module.tol, TOLERANCE), "implicit", max(module.max_iter, 5000)
    return made


def _lead(scores: Tensor, labels: Tensor) -> Tensor:
    """max_{j != k} l_j - l_k (batch,)."""
    own = scores.gather(1, labels[:, None])
    return (scores - own).scatter(1, labels[:, None], -math.inf).amax(1)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def _length(step: Tensor, norm: Norm) -> Tensor:
    return torch.linalg.vector_norm(step.flatten(1), ord=2 if norm == "l2" else math.inf, dim=1)


def _random(x: Tensor, reach: Tensor, norm: Norm, generator: torch.Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    if norm == "linf":
        return _rows(reach, x) * (2.0 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1.0)
    return noise * _rows(reach * torch.rand(len(x), generator=generator, dtype=x.dtype) / _length(noise, "l2"), x)


def _project(step: Tensor, reach: Tensor, norm: Norm) -> Tensor:
    if norm == "linf":
        return torch.maximum(torch.minimum(step, _rows(reach, step)), -_rows(reach, step))
    return step * _rows((reach / _length(step, "l2").clamp(min=1e-30)).clamp(max=1.0), step)


def _ascend(
    model: nn.Module, x: Tensor, labels: Tensor, reach: Tensor, start: Tensor, norm: Norm, steps: int, box: Any
) -> tuple[Tensor, Tensor]:
    """Whether each sample was moved to another class, and where to; rows that have been are left alone."""
    away, hit = start.clone(), torch.zeros(len(x), dtype=torch.bool)
    for step in range(steps + 1):
        rows = torch.nonzero(~hit)[:, 0]
        if not len(rows):
            break
        at = x[rows] + away[rows]
        at = (at if box is None else at.clamp(*box)).requires_grad_()
        lead = _lead(model(at), labels[rows])
        hit[rows] = lead.detach() >= 0
        away[rows] = at.detach() - x[rows]
        if step == steps:
            break
        (slope,) = torch.autograd.grad(lead.sum(), at)
        rate = reach[rows] * max(1.0 - step / steps, 0.01) * (1.0 if norm == "l2" else 0.5)
        direction = slope.sign() if norm == "linf" else slope / _rows(_length(slope, "l2").clamp(min=1e-30), slope)
        moved = _project(away[rows] + _rows(rate, slope) * direction, reach[rows], norm)
        away[rows] = torch.where(_rows(hit[rows], moved), away[rows], moved)
    return hit, x + away


@torch.no_grad()
def _towards(model: nn.Module, x: Tensor, labels: Tensor, wrong: Tensor) -> Tensor:
    """On the segments from samples to points with errors, points with errors nearer to the samples."""
    if not len(x):
        return wrong
    low, high = torch.zeros(len(x), dtype=x.dtype), torch.ones(len(x), dtype=x.dtype)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        errs = _lead(model(x + _rows(middle, x) * (wrong - x)), labels) >= 0
        low, high = torch.where(errs, low, middle), torch.where(errs, middle, high)
    return x + _rows(high, x) * (wrong - x)

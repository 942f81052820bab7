"""The autograd functions of equilibrium layers: the forward pass and every derivative are splitting problems.

Forward: 0 in (I - W) z - c + df(z), that is z = sigma(W z + c) with sigma = prox_f. With h = W z + c and J = sigma'(h), the
derivative of z is dz = (I - J W)^-1 J dh, so that dl/dh = u with u = J (W' u + g), g = dl/dz: the same problem transposed,
0 in (I - W') u + (J^-1 - I) u - g, with the resolvent J (x + a g)/(J + a (1 - J)). The derivative of u is again of this kind,
and so on: `_Linear` differentiates itself.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from monops.algorithms import Algorithm
from monops.errors import CapabilityError, ConstantError
from monops.functions import Function
from monops.functions.separable import Separable
from monops.linear import Diagonal
from monops_nn import automatic, solver
from monops_nn.operators import ActivationDerivative, ActivationOperator, CoupledDerivative, EquilibriumOperator
from monops_nn.solver import Settings, Solved
from monops_nn.systems.certified import NOT_FINITE
from monops_nn.systems.system import System

Gradient = Literal["implicit", "one_step", "neumann"]
NEUMANN_TERMS = 8


class Ready(NamedTuple):
    """What a pass needs once W is known."""

    system: System
    sigma: ActivationOperator
    forward: Settings
    backward: Settings


@dataclass(frozen=True, eq=False)
class Pass:
    """How a layer is solved forward and backward; made anew for each call of the layer.

    ``kept`` holds the System of the forward pass, with its factors, and ``preactivation`` its W z + c, for the backward pass:
    they belong to the graph of this call and are freed with it.
    """

    build: Callable[[tuple[Tensor, ...]], System]
    activation: Function
    shape: tuple[int, ...] | None
    algorithm: Algorithm | None
    backward_algorithm: Algorithm | None
    tol: float
    max_iter: int
    gradient: Gradient
    kept: list[Ready] = field(default_factory=list)
    preactivation: list[Tensor] = field(default_factory=list)

    def ready(self, weights: tuple[Tensor, ...], rows: int = 128) -> Ready:
        """The System on detached weights, and the methods chosen for it and for so many rows."""
        if not self.kept:
            detached = tuple(weight.detach() for weight in weights)
            if not all(bool(torch.isfinite(weight).all()) for weight in detached):
                raise ConstantError(NOT_FINITE)
            system = self.build(detached)
            if system.metric is not None and not isinstance(self.activation, Separable):
                raise CapabilityError(
                    f"{type(self.activation).__name__} couples the entries of a state, and need not be monotone in the metric "
                    "of this W: use an activation that acts entry by entry"
                )
            sigma = ActivationOperator(self.activation, system.mask, self.shape)
            forward = automatic.choose(system, sigma, self.algorithm, rows, self.tol)
            given = self.backward_algorithm
            backward = forward if given is None else automatic.choose(system, sigma, given, rows, self.tol)
            limits = (self.tol, self.max_iter)
            first = Settings(forward.algorithm, *limits, forward.rate, forward.found)
            second = Settings(backward.algorithm, *limits, backward.rate, backward.found, rough=True)
            self.kept.append(Ready(system, sigma, first, second))
        return self.kept[0]

    def again(self) -> Pass:
        """The same settings for other weights."""
        return replace(self, kept=[], preactivation=[])


def solve_forward(pass_: Pass, injection: Tensor, start: Tensor | None, weights: tuple[Tensor, ...]) -> Solved:
    """The equilibrium of every row; no warning."""
    system, sigma, settings, _ = pass_.ready(weights, injection.shape[0])

    def part(rows: slice) -> Solved:
        return solver.run(EquilibriumOperator(system, injection[rows]), sigma, settings, None if start is None else start[rows])

    return solver.in_blocks(injection, part)


def solve_linear(
    pass_: Pass, g: Tensor, z: Tensor, h: Tensor, weights: tuple[Tensor, ...], transposed: bool
) -> tuple[Tensor, Solved]:
    """The u with u = J(h) (W' u + g) (W in place of W' unless ``transposed``), each row of g scaled to norm 1 for the solve."""
    system, sigma, _, settings = pass_.ready(weights)
    scale = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)

    def part(rows: slice) -> Solved:
        right = g[rows] / scale[rows]
        bend = _derivative(sigma, z[rows], h[rows], right)
        return solver.run(EquilibriumOperator(system, None, transposed), bend, settings, torch.zeros_like(right))

    solved = solver.in_blocks(g, part)
    return solved.z.mul_(scale), solved


def _derivative(sigma: ActivationOperator, z: Tensor, h: Tensor, g: Tensor) -> ActivationDerivative | CoupledDerivative:
    jacobian = sigma.derivative(h, 1.0)
    return ActivationDerivative(g, jacobian.diagonal) if isinstance(jacobian, Diagonal) else CoupledDerivative(g, sigma, z, h)


def _fold(info: Any, in_dims: tuple[int | None, ...], tensors: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """The axis of vmap as further rows."""
    folded: list[Tensor | None] = []
    for dim, tensor in zip(in_dims, tensors, strict=True):
        if tensor is None:
            folded.append(None)
            continue
        moved = tensor.movedim(dim, 0) if dim is not None else tensor.expand(info.batch_size, *tensor.shape)
        folded.append(moved.reshape(-1, moved.shape[-1]))
    return folded


def _weights_vary(in_dims: tuple[int | None, ...]) -> bool:
    return any(dim is not None for dim in in_dims)


def _each(
    info: Any, in_dims: tuple[int | None, ...], tensors: tuple[Any, ...], call: Callable[..., Tensor]
) -> tuple[Tensor, int]:
    """One call for each entry of the axis of vmap."""
    results = [
        call(*(t if dim is None else t.select(dim, k) for dim, t in zip(in_dims, tensors, strict=True)))
        for k in range(info.batch_size)
    ]
    return torch.stack(results), 0


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Outside of autocast: transforms and inverses have no half precision."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def outside_autocast(method: Callable[..., Any]) -> Callable[..., Any]:
    """A backward pass outside of autocast."""

    @functools.wraps(method)
    def outside(ctx: Any, gradient: Tensor) -> Any:
        with full_precision(gradient.device):
            return method(ctx, gradient)

    return outside


def _moved_product(
    pass_: Pass, weights: tuple[Tensor, ...], tangents: tuple[Tensor | None, ...], z: Tensor, transposed: bool
) -> Tensor:
    """Derivative of W z (or W' z) when the weights move along the tangents."""
    if all(tangent is None for tangent in tangents):
        return torch.zeros_like(z)
    full = tuple(torch.zeros_like(w) if t is None else t for w, t in zip(weights, tangents, strict=True))

    def multiply(*W: Tensor) -> Tensor:
        system = pass_.build(W)
        return system.product_transposed(z) if transposed else system.product(z)

    moved: Tensor = torch.func.jvp(multiply, weights, full)[1]
    return moved


class Equilibrium(torch.autograd.Function):
    """Rows z (batch, size) with z = sigma(W z + c), from c, an optional start, a `Pass` and the weights of W."""

    @staticmethod
    def forward(injection: Tensor, start: Tensor | None, pass_: Pass, *weights: Tensor) -> Tensor:
        solved = solve_forward(pass_, injection, start, weights)
        solver.report(solved, "forward", pass_.ready(weights).forward)
        pass_.preactivation[:] = [] if solved.preactivation is None else [solved.preactivation]
        return solved.z

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        injection, _, ctx.pass_, *weights = inputs
        ctx.save_for_backward(injection, output, *weights)
        ctx.save_for_forward(injection, output, *weights)

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        pass_: Pass = ctx.pass_
        injection, z, *rest = ctx.saved_tensors
        weights = tuple(rest)
        if torch.is_grad_enabled():  # a derivative of the derivative is wanted
            system = pass_.build(weights)
            h = system.product(z) + injection
        else:
            system = pass_.ready(weights).system
            h = pass_.preactivation[0] if pass_.preactivation else system.product(z) + injection
        if pass_.gradient == "implicit":
            u = Linear.apply(g, z, h, pass_, True, *weights)  # type: ignore[no-untyped-call]
        else:
            u = _approximate(pass_.gradient, system, pass_.ready(weights).sigma, g, h)
        wanted = any(ctx.needs_input_grad[3:])
        cotangents = system.cotangents(u, z) if wanted else (None,) * len(weights)
        return (u, None, None, *cotangents)

    @staticmethod
    def jvp(ctx: Any, injection: Tensor | None, start: Tensor | None, pass_: None, *weights: Tensor | None) -> Tensor:
        """dz = (I - J W)^-1 J (dc + dW z)."""
        c, z, *rest = ctx.saved_tensors
        system = ctx.pass_.build(tuple(rest))
        moved = _moved_product(ctx.pass_, tuple(rest), weights, z, False)
        dh = moved if injection is None else injection + moved
        u: Tensor = Linear.apply(dh, z, system.product(z) + c, ctx.pass_, False, *rest)  # type: ignore[no-untyped-call]
        return u

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, injection: Tensor, start: Tensor | None, pass_: Pass, *weights: Tensor
    ) -> tuple[Tensor, int]:
        if _weights_vary(in_dims[3:]):
            dims = (in_dims[0], in_dims[1], *in_dims[3:])

            def one(c: Tensor, z0: Tensor | None, *W: Tensor) -> Tensor:
                return Equilibrium.apply(c, z0, pass_.again(), *W)  # type: ignore[no-untyped-call]

            return _each(info, dims, (injection, start, *weights), one)
        c, z0 = _fold(info, (in_dims[0], in_dims[1]), (injection, start))
        z = Equilibrium.apply(c, z0, pass_, *weights)  # type: ignore[no-untyped-call]
        return z.reshape(info.batch_size, -1, z.shape[-1]), 0


class Linear(torch.autograd.Function):
    """Rows u with u = J(h) (W' u + g), J the derivative of the activation at h = W z + c; W for W' unless ``transposed``."""

    @staticmethod
    def forward(g: Tensor, z: Tensor, h: Tensor, pass_: Pass, transposed: bool, *weights: Tensor) -> Tensor:
        u, solved = solve_linear(pass_, g, z, h, weights, transposed)
        solver.report(solved, "backward", pass_.ready(weights).backward)
        return u

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        g, z, h, ctx.pass_, ctx.transposed, *weights = inputs
        ctx.save_for_backward(g, z, h, output, *weights)
        ctx.save_for_forward(g, z, h, output, *weights)

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """With u = J p, p = W' u + g: dg = (I - J W')^-T ... = J w, w = v + W J w; dh of <w, J(h) p>; dW of <J w, W' u>."""
        pass_: Pass = ctx.pass_
        g, z, h, u, *rest = ctx.saved_tensors
        weights = tuple(rest)
        system = pass_.build(weights) if torch.is_grad_enabled() else pass_.ready(weights).system
        back = Linear.apply(v, z, h, pass_, not ctx.transposed, *weights)  # type: ignore[no-untyped-call]
        if ctx.transposed:
            p, w = system.product_transposed(u) + g, v + system.product(back)
        else:
            p, w = system.product(u) + g, v + system.product_transposed(back)
        slope = _bend(pass_.ready(weights).sigma, h, p, w)
        left, right = (u, back) if ctx.transposed else (back, u)
        cotangents = system.cotangents(left, right) if any(ctx.needs_input_grad[5:]) else (None,) * len(weights)
        return (back, None, slope, None, None, *cotangents)

    @staticmethod
    def jvp(
        ctx: Any, g: Tensor | None, z: Tensor | None, h: Tensor | None, pass_: None, transposed: None, *weights: Tensor | None
    ) -> Tensor:
        """du = (I - J W')^-1 (J a + b) with a = dg + dW' u and b = dJ p; (I - J W')^-1 b = b + (I - J W')^-1 J W' b."""
        g0, z0, h0, u, *rest = ctx.saved_tensors
        system = ctx.pass_.build(tuple(rest))
        multiply = system.product_transposed if ctx.transposed else system.product
        a = _moved_product(ctx.pass_, tuple(rest), weights, u, ctx.transposed)
        a = a if g is None else a + g
        b = torch.zeros_like(u)
        if h is not None:
            p = multiply(u) + g0
            b = _bend(ctx.pass_.ready(tuple(rest)).sigma, h0, p, h)  # J is diagonal or symmetric: dJ p by its own transpose
        moved: Tensor = Linear.apply(a + multiply(b), z0, h0, ctx.pass_, ctx.transposed, *rest)  # type: ignore[no-untyped-call]
        return moved + b

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, g: Tensor, z: Tensor, h: Tensor, pass_: Pass, transposed: bool, *weights: Tensor
    ) -> tuple[Tensor, int]:
        if _weights_vary(in_dims[5:]):
            dims = (*in_dims[:3], *in_dims[5:])

            def one(g: Tensor, z: Tensor, h: Tensor, *W: Tensor) -> Tensor:
                return Linear.apply(g, z, h, pass_.again(), transposed, *W)  # type: ignore[no-untyped-call]

            return _each(info, dims, (g, z, h, *weights), one)
        folded = _fold(info, in_dims[:3], (g, z, h))
        u = Linear.apply(*folded, pass_, transposed, *weights)  # type: ignore[no-untyped-call]
        return u.reshape(info.batch_size, -1, u.shape[-1]), 0


def _bend(sigma: ActivationOperator, h: Tensor, p: Tensor, w: Tensor) -> Tensor:
    """The gradient of <w, J(h) p> in h."""
    try:
        pull = torch.func.vjp(lambda at: sigma.derivative_apply(at, p), h)[1]
        slope: Tensor = pull(w)[0]
    except RuntimeError as error:
        if "setup_context" not in str(error) and "twice" not in str(error):
            raise
        raise CapabilityError(
            f"the second derivative of {type(sigma.activation).__name__} is not available: use a smooth activation of "
            "monops_nn.ACTIVATIONS, or a single backward pass"
        ) from None
    return slope


def _approximate(gradient: Gradient, system: System, sigma: ActivationOperator, g: Tensor, h: Tensor) -> Tensor:
    """Of u = J sum_k (W' J)^k g the first term (one_step), or the first few (neumann)."""
    u = total = sigma.derivative_apply(h, g)
    for _ in range(0 if gradient == "one_step" else NEUMANN_TERMS - 1):
        u = sigma.derivative_apply(h, system.product_transposed(u))
        total = total + u
    return total

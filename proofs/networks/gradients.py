"""Theorems on the derivative of the equilibrium, as a splitting problem and by the implicit function: NN-06, NN-07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import monops
from monops_nn import ACTIVATIONS, ActivationDerivative, MonDEQ
from proofs.networks.instances import SELU, Array, layer, singular_network, solution
from proofs.networks.methods import exact_gradient, slopes
from proofs.ratios import norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem

STRONG = "sym(I - W) >= m I with m > 0"

# ---- NN-06 -----------------------------------------------------------------------------------------


def resolvent_error(J: Array, g: Array, x: Array, step: float, y: Array) -> float:
    """|(1 + aD) y - x - a g| over rounding, D = 1/J - 1; |y| where J = 0: whether y is the resolvent of D u - g."""
    active = J > 0
    D = 1.0 / np.where(active, J, 1.0) - 1.0
    wrong = np.where(active, ((1.0 + step * D) * y - x - step * g) / (1.0 + step * D), y)
    return float(np.abs(wrong).max()) / (1e-13 * (norm(x) + step * norm(g)))


def library_resolvent(J: Array, g: Array, x: Array, step: float) -> Array:
    """The resolvent of monops_nn."""
    bend = ActivationDerivative(torch.as_tensor(g)[None], torch.as_tensor(J)[None])
    return bend.resolvent(torch.as_tensor(x)[None], step)[0].numpy()


def backward(W: Array, m: float, c: Array, g: Array, name: str) -> Array:
    """The u that the layer's backward pass finds."""
    made = layer(W, np.eye(len(c)), name, m)
    return made.solve_backward(torch.as_tensor(c)[None], torch.as_tensor(g)[None]).z[0].numpy()


def nn06_sample(generator: np.random.Generator) -> float:
    """The resolvent, the solution u against a direct solve, and |u| against |g|/m: the worst of the three ratios."""
    n, m = int(generator.integers(1, 6)), float(generator.uniform(0.1, 1.0))
    W, name = singular_network(generator, 1.0 - m, n), ("relu", "tanh", "leaky_relu", "hardtanh")[int(generator.integers(4))]
    sigma, (h, g, x) = ACTIVATIONS[name](), 2.0 * generator.standard_normal((3, n))
    c, J = solution(sigma, W, h)[1], slopes(sigma, h)
    u, found = exact_gradient(W, J, g), backward(W, 0.99 * m, c, g, name)
    vertices = np.where(generator.integers(2, size=n) == 1, generator.integers(2, size=n), generator.uniform(0, 1, n))
    step = float(10 ** generator.uniform(-2, 2))
    return max(
        resolvent_error(vertices, g, x, step, library_resolvent(vertices, g, x, step)),
        norm(found - u) / (1e-10 * norm(g) / m),
        quotient(norm(u), norm(g) / m, norm(g)),
    )


def nn06_scalar(m: float, claimed: float) -> float:
    """|u| of the layer's backward pass over |g|/``claimed`` for W = (1 - m) I and an active ReLU."""
    u = backward((1 - m) * np.eye(2), m, np.ones(2), np.array([3.0, -4.0]), "relu")
    return norm(u) / (5.0 / claimed)


def nn06_extremal() -> float:
    """W = (1 - m) I and all units active: u = g/m."""
    return nn06_scalar(0.25, 0.25)


def printed_denominators(step: float = 0.5) -> float:
    """The resolvent with 1 + a(1 + D) = 1 + a/J in the denominator."""
    J, g, x = np.array([1.0, 0.5]), np.ones(2), np.array([1.0, -2.0])
    return resolvent_error(J, g, x, step, (x + step * g) / (1.0 + step / J))


def without_transpose() -> float:
    """|u - v| over rounding, v the solution with W for W'."""
    W, g = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 0.0])
    return norm(backward(W, 0.99, np.ones(2), g, "identity") - exact_gradient(W.T, np.ones(2), g)) / 1e-10


NN06 = Theorem(
    "NN-06",
    "the backward pass as a splitting problem",
    "0 <= J <= I diagonal, sym(I - W) >= m I, m > 0 => 0 in (I - W')u + (J^-1 - I)u - g has exactly one solution, "
    "u = (I - J W')^-1 J g, |u| <= |g|/m, and the resolvent of the second summand is J(x + ag)/(J + a(1 - J)), J = 0 included",
    "Winston and Kolter (2020), Theorem 3; the bound is derived",
    (STRONG, "0 <= J <= I"),
    ("MonDEQ.solve_backward", "ActivationDerivative.resolvent", "NonNegative.prox_derivative", "Tanh.prox_derivative"),
    nn06_sample,
    nn06_extremal,
    (
        Counterexample(STRONG, "m = 1/10 held against the claim for m = 1/2", lambda: nn06_scalar(0.1, 0.5)),
        Counterexample(
            "0 <= J <= I",
            "the slope 1.05 of SELU, W = 0.97: u has the wrong sign and exceeds g/m",
            lambda: float(np.abs(exact_gradient(np.array([[0.97]]), np.array([SELU]), np.ones(1)))[0] * 0.03),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: nn06_extremal() / 0.999),
        Mutant("denominators 1 + a(1 + D) for 1 + aD", printed_denominators),
        Mutant("W for W'", without_transpose),
    ),
    note="The denominators 1 + a(1 + D) stand in the copy of Winston and Kolter (2020) read for this project; their code has "
    "1 + aD, as here.",
)

# ---- NN-07 -----------------------------------------------------------------------------------------

SMOOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "sigmoid": (lambda h: 1 / (1 + np.exp(-h)), lambda h: np.exp(-h) / (1 + np.exp(-h)) ** 2),
    "softplus": (lambda h: np.log(1 + np.exp(h)), lambda h: 1 / (1 + np.exp(-h))),
    "inverse_square_root": (lambda h: h / np.sqrt(1 + h * h), lambda h: (1 + h * h) ** -1.5),
    "arcsinh": (np.arcsinh, lambda h: 1 / np.sqrt(1 + h * h)),
}
TINY = 1e-30  # of the imaginary step: nothing cancels
Parameters = tuple[Array, Array, Array, Array, Array]  # A, B, U, b, x


def complex_equilibrium(parameters: Parameters, m: float, name: str, start: Array) -> Array:
    """The z = sigma(Wz + Ux + b) with W = (1 - m) I - A'A + B - B' by Newton, in complex numbers."""
    sigma, slope = SMOOTH[name]
    A, B, U, b, x = parameters
    n, z = len(b), start.astype(complex)
    W, c = (1 - m) * np.eye(n) - A.T @ A + B - B.T, U @ x + b
    for _ in range(4):
        h = W @ z + c
        z = z - np.linalg.solve(np.eye(n) - slope(h)[:, None] * W, z - sigma(h))
    return z


def parametrised(parameters: Parameters, m: float, name: str, **settings: Any) -> MonDEQ:
    """The layer with these parameters."""
    A, B, U, b, _ = parameters
    made = layer((1 - m) * np.eye(len(b)), U, name, m, **settings)
    with torch.no_grad():
        for kept, value in ((made.linear.A, A), (made.linear.B, B), (made.injection.bias, b)):
            kept.copy_(torch.as_tensor(value))  # type: ignore[operator]
    return made


def directional_error(parameters: Parameters, m: float, name: str, g: Array, direction: Parameters, **settings: Any) -> float:
    """|dl - dl'| over rounding: l = <g, z> along a direction of all parameters, by the layer and by a complex step."""
    made = parametrised(parameters, m, name, **settings)
    x = torch.as_tensor(parameters[-1])[None].requires_grad_()
    z = made(x)
    inputs: Any = (made.linear.A, made.linear.B, made.injection.weight, made.injection.bias, x)
    slopes = [part.detach().numpy() for part in torch.autograd.grad(z, inputs, torch.as_tensor(g)[None])]
    found = sum(float((slope.reshape(part.shape) * part).sum()) for slope, part in zip(slopes, direction, strict=True))
    moved = tuple(value + 1j * TINY * part for value, part in zip(parameters, direction, strict=True))
    exact = float((g @ complex_equilibrium(moved, m, name, z.detach().numpy()[0])).imag / TINY)  # type: ignore[arg-type]
    size = sum(norm(slope.ravel()) * norm(part.ravel()) for slope, part in zip(slopes, direction, strict=True))
    return abs(found - exact) / (1e-10 * (size + norm(g)))


def draw(generator: np.random.Generator, n: int, inputs: int) -> Parameters:
    """Normal entries for A, B, U, b and x."""
    shapes = ((n, n), (n, n), (n, inputs), (n,), (inputs,))
    A, B, U, b, x = (generator.standard_normal(shape) for shape in shapes)
    return A, B, U, b, x


def nn07_sample(generator: np.random.Generator) -> float:
    """A random network, loss and direction."""
    n, inputs = int(generator.integers(1, 6)), int(generator.integers(1, 4))
    name = tuple(SMOOTH)[int(generator.integers(len(SMOOTH)))]
    parameters, direction = draw(generator, n, inputs), draw(generator, n, inputs)
    return directional_error(parameters, float(generator.uniform(0.2, 1.0)), name, generator.standard_normal(n), direction)


def nn07_wrong(**settings: Any) -> float:
    """The same test of a layer with other settings."""
    generator = np.random.default_rng(1)
    parameters, direction = draw(generator, 4, 2), draw(generator, 4, 2)
    return directional_error(parameters, 0.5, "tanh", generator.standard_normal(4), direction, **settings)


def kink() -> float:
    """z = relu(z/2 + c) at c = 0 grows by 2 c to the right; the layer gives the slope 0 of the left side."""
    x = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(layer(np.full((1, 1), 0.5), np.eye(1), "relu", 0.5)(x).sum(), x)
    step = 0.25
    right = max(0.5 * (2 * step) + step, 0.0) / step
    assert right == 2.0
    return abs(right - float(found)) / 1e-10


def fold(distance: float = 1e-4) -> float:
    """tanh, W = 2 (m = -1), where tanh' = 1/2: a difference quotient of z in c over 1/m for m = 1/2; it grows without bound."""
    sigma, turn = monops.Tanh(), np.array([np.arctanh(np.sqrt(0.5))])
    (z, c), (y, d) = (solution(sigma, np.array([[2.0]]), h) for h in (turn, turn + distance))
    return norm(y - z) / norm(d - c) / 2.0


SMOOTHNESS = "sigma is differentiable at h = Wz + c"
SOLVED = "z is the equilibrium"

NN07 = Theorem(
    "NN-07",
    "the derivative of the equilibrium",
    "z = sigma(h), h = W z + c, sym(I - W) >= m I, m > 0, sigma = prox_f differentiable at h, J = sigma'(h) => "
    "dz/dtheta = (I - J W)^-1 J dh/dtheta, dh at fixed z; so dl/dh = (I - J W')^-1 J dl/dz",
    "Winston and Kolter (2020), Theorem 2: the implicit function theorem",
    (STRONG, SMOOTHNESS, SOLVED),
    ("MonDEQ", "MonotoneLinear", "ACTIVATIONS", "Tanh.prox"),
    nn07_sample,
    None,
    (
        Counterexample(STRONG, "W = 2 with tanh, at a fold: no derivative, difference quotients without bound", fold),
        Counterexample(SMOOTHNESS, "ReLU with h = 0: the two one-sided derivatives are 0 and 2", kink),
        Counterexample(SOLVED, "a solve to 1 % only", lambda: nn07_wrong(tol=1e-2)),
    ),
    (
        Mutant("(I - J W)^-1 left out", lambda: nn07_wrong(gradient="one_step")),
        Mutant("its series after eight terms", lambda: nn07_wrong(gradient="neumann")),
    ),
    note="Compared with a complex step of size 1e-30 in the definition: exact to rounding, so that the test resolves 1e-10.",
)

THEOREMS = (NN06, NN07)

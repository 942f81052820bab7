"""Objects that are wrong in one place each, with the law of the doctor that must say so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

import monops
from monops import Constants, algorithms, arrays
from monops.algorithms import Algorithm
from monops.constants import Known
from monops.doctor import FixedPointMap
from monops.functions import Function, L1Norm
from monops.functions.arguments import check_prox
from monops.linear import Diagonal, LinearMap, Matrix, MatvecMap
from monops.operators import Custom
from monops.theory import Guarantee
from tests.strategies import EXTREMAL, ROTATION, A, P, rng

SQUARE = rng(11).standard_normal((5, 5))
TOP = float(np.linalg.norm(SQUARE, 2))


@dataclass(frozen=True, eq=False)
class Broken(Function):
    """|x|_1, of which single parts are replaced by wrong ones."""

    wrong_value: Callable[..., Any] | None = None
    wrong_prox: Callable[..., Any] | None = None
    wrong_derivative: Callable[..., Any] | None = None
    wrong_conjugate: Function | None = None
    wrong_lipschitz: float | None = None
    right: Function = dataclasses.field(default_factory=L1Norm)

    @property
    def value_lipschitz(self) -> Known | None:
        return None if self.wrong_lipschitz is None else Known(self.wrong_lipschitz, "given")

    def __call__(self, x: Any) -> Any:
        right = self.right.batched(self.batch_ndim)
        return right(x) if self.wrong_value is None else self.wrong_value(x)

    def prox(self, x: Any, step: float = 1.0) -> Any:
        check_prox(self, x, step)
        return self.right.prox(x, step) if self.wrong_prox is None else self.wrong_prox(x, step)

    def conjugate(self) -> Function:
        return self.right.conjugate() if self.wrong_conjugate is None else self.wrong_conjugate

    def prox_derivative(self, x: Any, step: float = 1.0) -> LinearMap:
        J = self.right.prox_derivative(x, step)
        return J if self.wrong_derivative is None else self.wrong_derivative(J)


@dataclass(frozen=True, eq=False)
class WrongGradient(Function):
    """|x|^2/2 with a gradient of choice and claimed constants."""

    slope: float = 1.0
    claimed: Constants = dataclasses.field(default_factory=lambda: Constants(cyclic=True))

    @cached_property
    def constants(self) -> Constants:
        return self.claimed

    def __call__(self, x: Any) -> Any:
        return 0.5 * arrays.norm(x, self.batch_ndim) ** 2

    def gradient(self, x: Any) -> Any:
        return self.slope * x


@dataclass(frozen=True, eq=False)
class HalfWay(Function):
    """The indicator of x >= 0 with a prox that goes half of the way."""

    @property
    def is_indicator(self) -> bool:
        return True

    def prox(self, x: Any, step: float = 1.0) -> Any:
        return 0.5 * (x + np.maximum(x, 0.0))


@dataclass(frozen=True, eq=False)
class LeakyData(Function):
    """x + 0 with double precision from nowhere."""

    def prox(self, x: Any, step: float = 1.0) -> Any:
        return x + np.zeros(x.shape)


@dataclass(frozen=True, eq=False)
class Bowl(Function):
    """sqrt(|x|) summed: not convex, and does not say so."""

    def __call__(self, x: Any) -> Any:
        return arrays.row_sum(np.sqrt(np.abs(x)), self.batch_ndim)


@dataclass(frozen=True, eq=False)
class WrongMap(Matrix):
    """A matrix with wrong bounds or a wrong regularised inverse."""

    claimed_sigma: float | None = None
    wrong_inverse: bool = False

    @cached_property
    def smallest_singular_value(self) -> Known:
        return super().smallest_singular_value if self.claimed_sigma is None else Known(self.claimed_sigma, "given")

    def regularized_inverse(self, y: Any, step: float) -> Any:
        return super().regularized_inverse(y, step**2 if self.wrong_inverse else step)


class _Terms(NamedTuple):
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reflection(Algorithm):
    """z -> -z, claimed to be 1/2-averaged."""

    cost: ClassVar[str] = "nothing"
    evaluations: ClassVar[float] = 1.0
    typical_iterations: ClassVar[float] = 1.0
    is_map: ClassVar[bool] = True

    def match(self, problem: Any) -> Any:
        return _Terms(1.0, Guarantee((0, 1), 1.0, "", "", "nobody (2026)"), problem.constants)

    def init(self, terms: Any, x0: Any) -> Any:
        return (x0,)

    def step(self, terms: Any, state: Any) -> Any:
        return (-1.0 * state[0],)

    def solution(self, terms: Any, state: Any) -> Any:
        return algorithms.Solution(state[0])

    def certificate(self, terms: Any, state: Any) -> Any:
        return state[0]

    def averagedness(self, terms: Any) -> float:
        return 0.5


def linear(M: np.ndarray, **claims: Any) -> Custom:
    """x -> Mx as a Custom operator, for single points and rows, with claimed constants."""
    return Custom(lambda x: x @ M.T, constants=Constants(**claims), input_shape=(M.shape[0],))


def mutating(x: Any, step: float) -> Any:
    """The right prox, in the place of its argument."""
    x -= np.clip(x, -step, step)
    return x


def noisy(x: Any, step: float) -> Any:
    """The right prox and noise that no seed reproduces."""
    return L1Norm().prox(x, step) + 1e-3 * np.random.default_rng().standard_normal(x.shape)


ROTATION_MU = 0.3 * 1.01
SHRUNK = 0.5 * (P + P.T)
SYMMETRIC = SHRUNK / float(np.linalg.eigvalsh(SHRUNK)[-1])  # largest eigenvalue 1
DIPPED = np.diag([1.0, 2.0, -1e-3])

BROKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "adjoint with the wrong sign": (lambda: MatvecMap(lambda x: A @ x, lambda y: -(A.T @ y), (4,), (6,), 9.0), "adjoint"),
    "adjoint of another matrix": (lambda: MatvecMap(lambda x: A @ x, lambda y: (A.T + 1e-3) @ y, (4,), (6,), 9.0), "adjoint"),
    "adjoint into another space": (
        lambda: MatvecMap(lambda x: A @ x, lambda y: y[:3], (4,), (6,), 9.0),
        "shape of Kx and of K*y",
    ),
    "linear map that is not": (lambda: MatvecMap(np.abs, lambda y: y, (4,), (4,), 1.0), "linear"),
    "affine map taken for linear": (lambda: MatvecMap(lambda x: x + 1.0, lambda y: y, (4,), (4,), 9.0), "linear"),
    "norm 1 % too small": (lambda: Matrix(A, known_norm=0.99 * float(np.linalg.norm(A, 2))), "norm"),
    "smallest singular value 1 % too large": (
        lambda: WrongMap(A, claimed_sigma=1.01 * float(np.linalg.svd(A)[1][-1])),
        "smallest singular value",
    ),
    "regularised inverse with the square of the step": (lambda: WrongMap(A, wrong_inverse=True), "regularised inverse"),
    "L 1 % too small": (lambda: linear(SQUARE, lipschitz=0.99 * TOP), "Lipschitz constant L"),
    "mu 1 % too large on the extremal rotation": (
        lambda: linear(EXTREMAL, strong_monotonicity=ROTATION_MU, lipschitz=1.0),
        "strong monotonicity mu",
    ),
    "mu 1 % too large": (
        lambda: linear(SYMMETRIC, strong_monotonicity=1.01 * float(np.linalg.eigvalsh(SYMMETRIC)[0])),
        "strong monotonicity mu",
    ),
    "beta 1 % too large": (lambda: linear(SYMMETRIC, cocoercivity=1.01), "cocoercivity beta"),
    "beta claimed of a rotation": (
        lambda: linear(ROTATION, strong_monotonicity=0.0, cocoercivity=1e-3, lipschitz=1.0),
        "cocoercivity beta",
    ),
    "not monotone in one direction": (lambda: linear(DIPPED, strong_monotonicity=0.0), "monotone"),
    "rotation by 72 degrees claimed to be a gradient": (
        lambda: linear(EXTREMAL, cyclic=True, lipschitz=1.0),
        "cyclically monotone",
    ),
    "slight rotation claimed to be a gradient": (
        lambda: linear(np.eye(2) + 0.01 * ROTATION, cyclic=True),
        "derivative symmetric",
    ),
    "symmetric claimed to be skew": (lambda: linear(SYMMETRIC, skew=True), "skew"),
    "cubic claimed to be affine": (
        lambda: Custom(lambda x: x**3, constants=Constants(0.0, affine=True), input_shape=(3,)),
        "affine",
    ),
    "reflection taken for a resolvent": (
        lambda: Custom(resolvent=lambda x, step: -x, constants=Constants(0.0)),
        "firmly nonexpansive",
    ),
    "resolvent with twice the step": (
        lambda: Custom(lambda x: x, lambda x, step: x / (1 + 2 * step), Constants(1.0, lipschitz=1.0)),
        "forward value in the resolvent",
    ),
    "resolvent with mu 1 % too large": (
        lambda: Custom(resolvent=lambda x, step: x / (1 + step), constants=Constants(1.01)),
        "strong monotonicity mu",
    ),
    "resolvent of another step convention": (
        lambda: Custom(resolvent=lambda x, step: x / (1 + step**2), constants=Constants(0.0)),
        "resolvent identity",
    ),
    "prox with the square of the step": (lambda: Broken(wrong_prox=lambda x, s: L1Norm().prox(x, s * s)), "prox minimises"),
    "prox with half of the threshold": (
        lambda: Broken(wrong_prox=lambda x, s: L1Norm().prox(x, 0.5 * s)),
        "(x - prox)/step is a subgradient",
    ),
    "prox that ignores the step": (lambda: Broken(wrong_prox=lambda x, s: L1Norm().prox(x, 1.0)), "resolvent identity"),
    "double precision from nowhere": (LeakyData, "single precision kept: resolvent"),
    "prox that changes its argument": (lambda: Broken(wrong_prox=mutating), "argument unchanged: resolvent"),
    "prox with noise": (lambda: Broken(wrong_prox=noisy), "same answer twice: resolvent"),
    "prox with another shape": (
        lambda: Broken(wrong_prox=lambda x, s: L1Norm().prox(x, s)[..., None]),
        "library, dtype, shape kept: resolvent",
    ),
    "prox that couples the rows": (
        lambda: Broken(wrong_prox=lambda x, s: x * max(1 - s / max(float(np.linalg.norm(x)), s), 0.0)),
        "rows of a batch independent: resolvent",
    ),
    "prox that overflows": (
        lambda: Broken(wrong_prox=lambda x, s: np.log(np.exp(np.maximum(x - s, 0.0))) - np.maximum(-x - s, 0.0)),
        "finite: resolvent",
    ),
    "projection that goes half of the way": (HalfWay, "projection: again, and for every step, the same"),
    "nonconvex function that does not say so": (Bowl, "convex along segments"),
    "convex function with mu 1 % too large": (
        lambda: WrongGradient(claimed=Constants(1.01, lipschitz=2.0, cyclic=True)),
        "convex along segments",
    ),
    "gradient twice too long": (lambda: WrongGradient(2.0), "gradient is the derivative of the value"),
    "Lipschitz constant of the value 1 % too small": (
        lambda: Broken(wrong_lipschitz=0.99 * 5**0.5),
        "Lipschitz constant of the value",
    ),
    "derivative of the prox turned round": (
        lambda: Broken(wrong_derivative=lambda J: Diagonal(1.0 - J.diagonal)),
        "derivative of the resolvent",
    ),
    "derivative of the prox above 1": (
        lambda: Broken(wrong_derivative=lambda J: Diagonal(1.01 * J.diagonal)),
        "derivative self-adjoint, within its bounds",
    ),
    "conjugate with another radius": (
        lambda: Broken(wrong_conjugate=monops.Box(-0.9, 0.9)),
        "Moreau's decomposition",
    ),
    "conjugate with a value too small": (
        lambda: Broken(wrong_value=lambda x: np.sum(np.abs(x)) - 1.0),
        "Fenchel-Young equality at the prox",
    ),
    "reflection claimed to be averaged": (lambda: FixedPointMap(Reflection(), L1Norm()), "averaged"),
}

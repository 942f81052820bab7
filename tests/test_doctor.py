"""The doctor: everything the library offers passes; every deliberately broken object is caught, by the right law, with points
that show it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

import monops
from monops import Constants, algorithms, arrays, errors
from monops.algorithms import Algorithm
from monops.constants import Known
from monops.doctor import FixedPointMap, Report, check
from monops.functions import Function, L1Norm, LeastSquares
from monops.functions.arguments import check_prox
from monops.functions.iterative import Iterative
from monops.linear import Diagonal, LinearMap, Matrix, MatvecMap
from monops.operators import Custom
from monops.theory import Guarantee
from tests.problems import CASES as PROBLEMS
from tests.strategies import EXTREMAL, MAPS, OPERATORS, ROTATION, A, P, rng
from tests.walk import CLASSES, Case, every

SQUARE = rng(11).standard_normal((5, 5))
TOP = float(np.linalg.norm(SQUARE, 2))


# ---- what is right passes ---------------------------------------------------------------------------


SLOW = {"Intersection", "OverlappingGroupL2"}  # seconds of inner iterations; their laws are in test_functions.py


def _chosen(case: Case) -> bool:
    """One sample of each class, a different one for each, so that together they see every kind."""
    if case.cls.__name__ in SLOW:
        return False
    samples = case.cls.samples()
    index = sorted(CLASSES, key=lambda cls: cls.__name__).index(case.cls) % len(samples)
    fast = [sample for sample in samples if sample.accuracy < 1e-10]
    wanted = samples[index] if samples[index] in fast or not fast else fast[0]
    return case.sample.build.__code__ is wanted.build.__code__ and case.sample.shape == wanted.shape


@every(_chosen)
def test_every_function_passes(case: Case) -> None:
    f, accuracy = case.f, case.sample.accuracy
    if isinstance(f, Iterative):  # faster, and the accuracy is then read from the function
        f, accuracy = dataclasses.replace(f, tolerance=1e-6), None
    report = check(f, points=2, shape=case.sample.shape, accuracy=accuracy)
    assert report.ok, str(report)
    assert sum(entry.result == "passed" for entry in report.checks) >= 8


@pytest.mark.parametrize("instance", OPERATORS, ids=lambda instance: instance.cls.__name__)
def test_every_operator_passes(instance: Any) -> None:
    report = check(instance.build(np.array), points=4, shape=instance.shape)
    assert report.ok, str(report)


@pytest.mark.parametrize("instance", MAPS, ids=lambda instance: instance.cls.__name__)
def test_every_linear_map_passes(instance: Any) -> None:
    report = check(instance.build(np.array), points=4)
    assert report.ok, str(report)


@pytest.mark.parametrize("case", PROBLEMS, ids=lambda case: case.name)
def test_every_problem_and_every_fixed_point_map_on_it_passes(case: Any) -> None:
    problem = monops.solve.__globals__["as_inclusion"](case.build(np.array))
    report = check(problem, points=3)
    assert report.ok, str(report)
    maps = 0
    for method in algorithms.methods():
        try:
            algorithm = method()
            algorithm.match(problem)
        except errors.MonopsError:
            continue
        if algorithm.is_map:
            report = check(FixedPointMap(algorithm, problem), points=3)
            assert report.ok, str(report)
            maps += 1
    assert maps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_every_array_library(backend: Any, dtype: str) -> None:
    def a(values: Any) -> Any:
        return backend.asarray(values, dtype)

    for item in (LeastSquares(a(A), a(np.ones(6))), monops.Simplex(), monops.Affine(a(EXTREMAL)), Matrix(a(A))):
        report = check(item, points=2, like=a(np.zeros(1)))
        assert report.ok, str(report)
        compared = [entry.name for entry in report.checks if entry.name.startswith("same answer as on NumPy")]
        assert bool(compared) == (arrays.library(a(np.zeros(1))) != "numpy")


def test_complex_points() -> None:
    draw = rng(5).standard_normal
    C = draw((4, 3)) + 1j * draw((4, 3))
    for item in (Matrix(C), LeastSquares(C, C[:, 0]), monops.Affine(np.array([[1.0, 1j], [1j, 2.0]]))):
        report = check(item, points=3)
        assert report.ok, str(report)
    assert check(monops.SquaredL2(), points=3, like=np.zeros(1, dtype=complex)).ok
    false = check(Matrix(C, known_norm=0.99 * float(np.linalg.norm(C, 2))))
    assert [entry.name for entry in false.failures] == ["norm"]
    names: dict[str, Any] = {"item": Matrix(C)}
    exec(repr(false.failures[0].counterexample), names)
    assert names["left"] > names["right"]


# ---- what is broken is caught -------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_object_is_caught_by_the_right_law_with_points_that_show_it(name: str) -> None:
    build, law = BROKEN[name]
    item = build()
    report = check(item, points=4)
    assert not report.ok
    assert law in [entry.name for entry in report.failures], str(report)
    for entry in report.failures:
        shown = entry.counterexample
        assert shown is not None
        names: dict[str, Any] = {"item": item}
        if shown.error:
            with pytest.raises(Exception, match=r"."):
                exec(repr(shown), names)
            continue
        with np.errstate(all="ignore"):
            exec(repr(shown), names)  # what a person would paste
        if "noise" not in name or entry.name == law:
            assert names["left"] > names["right"]
        if "noise" not in name:
            np.testing.assert_allclose([names["left"], names["right"]], [shown.left, shown.right], rtol=1e-12)


def test_counterexamples_are_made_simple() -> None:
    """Few nonzero entries, round numbers."""
    turn = linear(ROTATION, strong_monotonicity=0.0, lipschitz=0.99)
    points = check(turn)["Lipschitz constant L"].counterexample.points
    np.testing.assert_array_equal(points["x"], [0.0, 0.0])
    assert sorted(np.abs(points["y"])) == [0.0, 1.0]
    shown = check(Broken(wrong_prox=lambda x, s: L1Norm().prox(x, s * s)))["prox minimises"].counterexample
    assert np.count_nonzero(shown.points["x"]) == 1
    assert all(len(f"{value:g}") <= 6 for value in (*shown.points["x"], *shown.points["q"]))
    dense = check(linear(SQUARE, lipschitz=0.9 * TOP))["Lipschitz constant L"].counterexample
    np.testing.assert_array_equal(dense.points["x"], 0.0)
    assert all(float(f"{value:.2e}") == value for value in dense.points["y"])


def test_a_float64_leak_hidden_in_a_callable_is_caught_in_the_precision_of_the_points() -> None:
    offset = np.ones(3)
    item = Custom(lambda x: x + offset, constants=Constants(1.0, lipschitz=1.0))
    report = check(item, shape=(3,))
    assert report.ok
    assert "callables" in report["single precision kept: forward"].reason
    report = check(item, shape=(3,), like=np.zeros(1, dtype=np.float32))
    assert [entry.name for entry in report.failures] == ["library, dtype, shape kept: forward"]


def test_large_points_follow_the_growth() -> None:
    """Beyond the size at which Jacobians are formed: the constant that the direction of growth attains."""
    weights = np.linspace(0.0, 1.0, 200) ** 8
    item = Custom(lambda x: weights * x, constants=Constants(0.0, lipschitz=0.9, cyclic=True), input_shape=(200,))
    assert "Lipschitz constant L" in [entry.name for entry in check(item).failures]


# ---- the report ------------------------------------------------------------------------------------------


def test_require_says_what_is_false() -> None:
    assert isinstance(check(L1Norm()).require(), Report)
    with pytest.raises(errors.ConstantError, match=r"(?s)Lipschitz constant L failed.*L = 0\.99.*left <= right"):
        check(linear(ROTATION, strong_monotonicity=0.0, lipschitz=0.99)).require()
    with pytest.raises(errors.MonopsError, match="argument unchanged") as found:
        check(Broken(wrong_prox=mutating)).require()
    assert not isinstance(found.value, errors.ConstantError)


def test_the_report_prints_a_table_with_reasons_and_counterexamples() -> None:
    text = str(check(linear(ROTATION, strong_monotonicity=0.0, lipschitz=0.99)))
    assert "FAILED" in text
    assert "claimed: |u - v| <= L |p - q|" in text
    assert "skipped" in text
    assert "no beta is claimed" in text
    assert "L = 0.99" in text
    assert repr(check(L1Norm())) == repr(check(L1Norm()))


def test_every_part_of_an_inclusion_is_examined() -> None:
    problem = LeastSquares(A, np.ones(6)) + L1Norm() @ Matrix(A, known_norm=1.0)
    report = check(problem)
    (failure,) = report.failures
    assert failure.name == "[1] K: norm"
    names: dict[str, Any] = {"item": problem}
    exec(repr(failure.counterexample), names)
    assert names["left"] > names["right"]


def test_a_wrapper_is_examined_where_the_function_inside_it_lives() -> None:
    for item in (
        2.0 * monops.NuclearNorm(),
        monops.operators.Subdifferential(monops.NuclearNorm()),
        monops.Simplex().batched(1),
    ):
        assert check(item, points=2).ok


def test_an_object_that_raises_is_a_finding() -> None:
    def refuse(x: Any) -> Any:
        raise ValueError("no")

    report = check(Custom(refuse, constants=Constants(0.0)))
    assert report.failures[0].counterexample is not None or "ValueError: no" in report.failures[0].reason
    assert not report.ok


def test_what_cannot_be_examined_is_refused() -> None:
    with pytest.raises(errors.DataError, match="check takes a Function"):
        check(3)
    with pytest.raises(errors.DataError, match="points=1"):
        check(L1Norm(), points=1)
    with pytest.raises(errors.CapabilityError, match="no fixed-point map"):
        FixedPointMap(monops.AcceleratedForwardBackward(), L1Norm())

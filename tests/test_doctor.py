"""The doctor: everything the library offers passes; every deliberately broken object is caught, by the right law, with points
that show it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import monops
from monops import Constants, algorithms, arrays, errors
from monops.doctor import FixedPointMap, Report, check
from monops.functions import L1Norm, LeastSquares
from monops.functions.iterative import Iterative
from monops.linear import Matrix
from monops.operators import Custom
from monops.solve import as_inclusion
from tests.broken import BROKEN, SQUARE, TOP, Broken, linear, mutating
from tests.problems import CASES as PROBLEMS
from tests.strategies import EXTREMAL, MAPS, OPERATORS, ROTATION, A, rng
from tests.walk import CLASSES, Case, every

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
    problem = as_inclusion(case.build(np.array))
    shape = None if problem.input_shape is not None else arrays.tree_map(lambda leaf: leaf.shape, case.start(np.array))
    report = check(problem, points=3, shape=shape)
    assert report.ok, str(report)
    maps = 0
    for method in algorithms.methods():
        try:
            algorithm = method()
            algorithm.match(problem)
        except errors.MonopsError:
            continue
        if algorithm.is_map:
            report = check(FixedPointMap(algorithm, problem), points=3, shape=shape)
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

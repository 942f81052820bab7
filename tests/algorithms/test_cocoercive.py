"""The cocoercive family: answers against CVXPY, several resolvents, certificates, libraries, rows, refusals."""

from __future__ import annotations

import functools
from typing import Any

import cvxpy
import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms.cocoercive import forward_backward, forward_step, generalized_forward_backward
from monops.algorithms.cocoercive import inertial_forward_backward as inertial
from monops.constants import Constants
from monops.errors import DataError, NotApplicableError, StepSizeError
from tests.algorithms.cocoercive_cases import LABELS, PROBLEMS, WEIGHT, A, F, P, after, b, generator, q
from tests.backends import BACKENDS

PRECISE = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)


# ---- answers --------------------------------------------------------------------------------------
@functools.cache
def reference(name: str) -> np.ndarray:
    """The answer by Clarabel, from the formulas written out."""
    x = cvxpy.Variable(12)
    squares, quadratic = 0.5 * cvxpy.sum_squares(A @ x - b), 0.5 * cvxpy.quad_form(x, cvxpy.psd_wrap(P)) + q @ x
    logistic = cvxpy.sum(cvxpy.logistic(-cvxpy.multiply(LABELS, A @ x)))
    one = WEIGHT * cvxpy.norm1(x)
    objective, constraints = {
        "lasso": (squares + one, []),
        "elastic net": (squares + one + 0.25 * cvxpy.sum_squares(x), []),
        "logistic": (logistic + one, []),
        "box quadratic": (quadratic, [x >= -0.4, x <= 0.4]),
        "smooth": (logistic + quadratic, []),
        "three terms": (squares + one, [x >= -0.1, x <= 0.3]),
        "four terms": (squares + one, [cvxpy.norm2(x) <= 0.3, q @ x <= -0.1]),
    }[name]
    cvxpy.Problem(cvxpy.Minimize(objective), constraints).solve(solver="CLARABEL", **PRECISE)
    return np.asarray(x.value)


ONE_RESOLVENT = (
    monops.ForwardBackward(),
    monops.ForwardBackward(relaxation=1.5),
    monops.ForwardBackward(relaxation=0.6),
    monops.InertialForwardBackward(),
    monops.InertialForwardBackward(inertia=0.4, relaxation=0.5),
    monops.AcceleratedForwardBackward(),
    monops.AdaptiveProximalGradient(),
    monops.AdaptiveAcceleratedForwardBackward(),
    monops.AdaptiveDavisYin(),
)
THREE_TERMS = (monops.DavisYin(), monops.DavisYin(relaxation=1.4), monops.AdaptiveDavisYin())
SEVERAL = (
    monops.GeneralizedForwardBackward(),
    monops.GeneralizedForwardBackward(relaxation=0.7),
    monops.GeneralizedForwardBackward(relaxation=1.4),
)
RUNS = (
    *((name, method) for name in ("lasso", "elastic net", "logistic", "box quadratic", "smooth") for method in ONE_RESOLVENT),
    *((name, monops.StronglyConvexForwardBackward()) for name in ("lasso", "elastic net", "box quadratic", "smooth")),
    ("smooth", monops.ForwardStep()),
    *(("three terms", method) for method in (*THREE_TERMS, *SEVERAL)),
    *(("four terms", method) for method in SEVERAL),
    ("four terms", monops.GeneralizedForwardBackward(weights=(0.2, 0.5, 0.3))),
)


@pytest.mark.parametrize(("name", "method"), RUNS, ids=[f"{name}-{method!r}" for name, method in RUNS])
def test_answers_are_those_of_clarabel(name: str, method: Any) -> None:
    result = monops.solve(PROBLEMS[name](), method, x0=np.ones(12), tol=1e-8, max_iter=50_000)
    assert result.success
    conic = name in ("logistic", "smooth")  # the exponential cone is solved less precisely: the optimality conditions decide
    np.testing.assert_allclose(result.x, reference(name), atol=1e-4 if conic else 2e-6)
    if conic:
        slope = A.T @ (-LABELS / (1 + np.exp(LABELS * (A @ result.x)))) + (P @ result.x + q if name == "smooth" else 0)
        point = result.x - slope
        moved = point if name == "smooth" else np.sign(point) * np.maximum(np.abs(point) - WEIGHT, 0)
        np.testing.assert_allclose(moved, result.x, atol=1e-7)


# ---- several resolvents -----------------------------------------------------------------------------------
def test_generalized_forward_backward_is_the_scheme_of_raguet_fadili_and_peyre() -> None:
    weights, step, relaxation = (0.25, 0.75), 0.03, 1.2
    method = monops.GeneralizedForwardBackward(step, relaxation, weights)
    _, states = after(method, PROBLEMS["three terms"](), np.ones(12), 6)
    z = [np.ones(12), np.ones(12)]
    for _ in range(6):
        x = 0.25 * z[0] + 0.75 * z[1]
        target = [2 * x - part - step * A.T @ (A @ x - b) for part in z]
        soft = np.sign(target[0]) * np.maximum(np.abs(target[0]) - WEIGHT * step / 0.25, 0)
        z = [z[0] + relaxation * (soft - x), z[1] + relaxation * (np.clip(target[1], -0.1, 0.3) - x)]
    np.testing.assert_allclose(np.stack(states[-1].z), np.stack(z), atol=1e-13)


def test_generalized_map_is_averaged_in_its_metric() -> None:
    """|T z - T w|^2 <= |z - w|^2 - (1 - a)/a |(I - T) z - (I - T) w|^2 with weights as unequal as they get."""
    method = monops.GeneralizedForwardBackward(weights=(0.9, 0.1))
    terms = method.match(PROBLEMS["three terms"]())
    a = method.averagedness(terms)

    def square(z: Any) -> float:
        return float(arrays.inner(z, method.metric(terms, z)))

    for _ in range(100):
        z, w = (monops.Blocks(generator.standard_normal((2, 12))) for _ in range(2))
        Tz, Tw = (method.governing(terms, method.step(terms, method.at(terms, point))) for point in (z, w))
        assert square(Tz - Tw) <= square(z - w) - (1 - a) / a * square((z - Tz) - (w - Tw)) + 1e-10


def test_davis_yin_is_forward_douglas_rachford_for_a_subspace() -> None:
    """Briceno-Arias (2015): x = P z, z+ = z + J(2x - z - s P B x) - x is Davis-Yin with P B P, and not with B itself."""
    rows = generator.standard_normal((3, 12))
    projector = np.eye(12) - np.linalg.pinv(rows) @ rows
    step = 0.02
    z = np.ones(12)
    for _ in range(8):
        x = projector @ z
        target = 2 * x - z - step * projector @ A.T @ (A @ x - b)
        z = z + np.sign(target) * np.maximum(np.abs(target) - WEIGHT * step, 0) - x
    beta = 1 / np.linalg.norm(A, 2) ** 2
    inside = monops.Custom(
        forward=lambda x: projector @ (A.T @ (A @ (projector @ x) - b)), constants=Constants(cocoercivity=beta)
    )
    subspace = monops.NormalCone(monops.AffineSet(rows, np.zeros(3)))
    problem = monops.Subdifferential(WEIGHT * monops.L1Norm()) + subspace + inside
    _, states = after(monops.DavisYin(step), problem, np.ones(12), 8)
    np.testing.assert_allclose(states[-1].z, z, atol=1e-12)
    plain = WEIGHT * monops.L1Norm() + monops.AffineSet(rows, np.zeros(3)) + monops.LeastSquares(A, b)
    _, others = after(monops.DavisYin(step), plain, np.ones(12), 8)
    assert np.linalg.norm(others[-1].z - z) > 1e-3
    answers = [monops.solve(p, monops.DavisYin(step), x0=np.zeros(12), tol=1e-9, max_iter=50_000).x for p in (problem, plain)]
    np.testing.assert_allclose(*answers, atol=1e-7)


# ---- what every method keeps ------------------------------------------------------------------------------
EACH = (
    ("smooth", monops.ForwardStep()),
    ("lasso", monops.ForwardBackward(relaxation=1.3)),
    ("lasso", monops.InertialForwardBackward()),
    ("elastic net", monops.StronglyConvexForwardBackward()),
    ("lasso", monops.AdaptiveProximalGradient()),
    ("lasso", monops.AdaptiveAcceleratedForwardBackward()),
    ("three terms", monops.AdaptiveDavisYin()),
    ("three terms", monops.GeneralizedForwardBackward(weights=(0.4, 0.6))),
)


def check_subgradient(u: np.ndarray, x: np.ndarray, weight: float = WEIGHT, curvature: float = 0.0) -> None:
    """u is a subgradient of weight |x|_1 + curvature/2 |x|^2."""
    u = u - curvature * x
    np.testing.assert_array_less(np.abs(u), weight + 1e-9)
    np.testing.assert_allclose(u[x != 0], weight * np.sign(x[x != 0]), atol=1e-9)


def check_normal(u: np.ndarray, x: np.ndarray, lower: float, upper: float) -> None:
    """u is normal to the box at x."""
    assert np.all((x >= lower - 1e-12) & (x <= upper + 1e-12))
    np.testing.assert_allclose(np.clip(x + u, lower, upper), x, atol=1e-9)


def check_certificate(name: str, terms: Any, method: Any, state: Any) -> None:
    """What is left of the certificate, when everything single-valued is taken away, is in the set-valued terms."""
    x, dual = method.solution(terms, state)
    found = method.certificate(terms, state)
    slope = A.T @ (A @ x - b)
    if name == "smooth":
        np.testing.assert_allclose(found, A.T @ (-LABELS / (1 + np.exp(LABELS * (A @ x)))) + P @ x + q, atol=1e-10)
    elif name == "three terms":
        u = dual[0] if isinstance(dual, monops.Blocks) else dual
        check_subgradient(found[0] - slope - u, x)
        check_normal(u, x + found[1], -0.1, 0.3)
    else:
        check_subgradient(found - slope, x, curvature=0.5 if name == "elastic net" else 0.0)


def build(name: str, asarray: Any) -> Any:
    """The problem with its data made by ``asarray``."""
    square, loss = monops.LeastSquares(asarray(A), asarray(b)), monops.LogisticLoss(asarray(LABELS)) @ monops.Matrix(asarray(A))
    one = WEIGHT * monops.L1Norm()
    return {
        "lasso": square + one,
        "elastic net": square + monops.ElasticNet(WEIGHT, 0.5),
        "smooth": loss + monops.Quadratic(asarray(P), asarray(q)),
        "three terms": square + one + monops.Box(-0.1, 0.3),
    }[name]


@pytest.mark.parametrize(("name", "method"), EACH, ids=[method.name for _, method in EACH])
def test_certificates_are_elements_of_the_operator(name: str, method: Any) -> None:
    terms, states = after(method, PROBLEMS[name](), np.ones(12), 9)
    for state in states[1:]:
        check_certificate(name, terms, method, state)


@pytest.mark.parametrize("library", ["torch", "strict"])
@pytest.mark.parametrize(("name", "method"), EACH, ids=[method.name for _, method in EACH])
def test_other_libraries_take_the_same_steps(name: str, method: Any, library: str) -> None:
    backend = next(entry for entry in BACKENDS if entry.name == library)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-3)):

        def asarray(host: Any, dtype: str = dtype) -> Any:
            return backend.asarray(host, dtype)

        terms, states = after(method, build(name, asarray), asarray(np.ones(12)), 4)
        _, expected = after(method, build(name, np.asarray), np.ones(12), 4)
        found, wanted = method.solution(terms, states[-1]).x, method.solution(terms, expected[-1]).x
        np.testing.assert_allclose(arrays.to_numpy(found), wanted, atol=tolerance)
        for leaf in arrays.leaves((*states[-1], method.certificate(terms, states[-1]))):
            assert dtype in str(leaf.dtype)


@pytest.mark.parametrize(("name", "method"), EACH, ids=[method.name for _, method in EACH])
def test_rows_of_a_batch_are_runs_of_their_own(name: str, method: Any) -> None:
    starts = np.stack([np.zeros(12), np.ones(12), 3.0 * q])
    result = monops.solve(PROBLEMS[name](), method, x0=starts, batch_ndim=1, tol=0.0, max_iter=25, on_failure="ignore")
    for row, start in zip(result.x, starts, strict=True):
        alone = monops.solve(PROBLEMS[name](), method, x0=start, tol=0.0, max_iter=25, on_failure="ignore")
        np.testing.assert_allclose(row, alone.x, atol=1e-10)


def test_guarantees_print_what_they_check() -> None:
    free = Constants(strong_monotonicity=0.0)
    for _ in range(50):
        beta, relaxation = generator.uniform(0.1, 2.0), generator.uniform(0.3, 1.6)
        inertia_ = generator.uniform(0.0, 0.25)
        B = Constants(cocoercivity=beta)
        names = {"beta": beta, "relaxation": relaxation, "inertia": inertia_}
        for proven in (
            forward_step.guarantee(B),
            forward_backward.guarantee(free, B, relaxation),
            generalized_forward_backward.guarantee((free, free), B, relaxation),
            inertial.guarantee(free, B, inertia_, relaxation),
        ):
            upper = proven.interval[1]
            for step in (0.999 * upper, 1.001 * upper):
                assert eval(proven.formula, {}, {**names, "step_size": step}) == (0 < step < upper)


@pytest.mark.parametrize(
    ("build_", "error", "words"),
    [
        (lambda: (monops.L1Norm(), monops.ForwardStep()), NotApplicableError, "no forward value; use ForwardBackward"),
        (lambda: (PROBLEMS["lasso"](), monops.ForwardBackward(relaxation=2.0)), StepSizeError, r"outside \(0, 2\)"),
        (lambda: (PROBLEMS["lasso"](), monops.InertialForwardBackward(inertia=0.34)), StepSizeError, "must be below 1/3"),
        (lambda: (PROBLEMS["lasso"](), monops.InertialForwardBackward(inertia=1.0)), StepSizeError, r"outside \[0, 1\)"),
        (lambda: (PROBLEMS["lasso"](), monops.StronglyConvexForwardBackward(step_size=1.0)), StepSizeError, "<= beta"),
        (lambda: (PROBLEMS["lasso"](), monops.GeneralizedForwardBackward()), NotApplicableError, "use ForwardBackward"),
        (
            lambda: (PROBLEMS["three terms"](), monops.GeneralizedForwardBackward(weights=(0.5, 0.6))),
            DataError,
            "2 positive numbers of sum 1",
        ),
        (
            lambda: (monops.Affine(np.eye(12) + 0.1 * (F - F.T)) + monops.L1Norm(), monops.StronglyConvexForwardBackward()),
            NotApplicableError,
            "a term is an operator",
        ),
        (
            lambda: (monops.Power(4.0) + monops.L1Norm(), monops.ForwardStep()),
            NotApplicableError,
            "no forward value",
        ),
        (lambda: (monops.Power(4.0), monops.ForwardStep()), NotApplicableError, "use AdaptiveProximalGradient"),
        (lambda: (monops.MCP(1.0, 3.0), monops.ForwardStep()), NotApplicableError, "nonconvex|no forward value"),
    ],
)
def test_refusals_name_the_hypothesis_and_the_way_out(build_: Any, error: type[Exception], words: str) -> None:
    problem, method = build_()
    with pytest.raises(error, match=words):
        monops.solve(problem, method, x0=np.zeros(12))

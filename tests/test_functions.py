"""Every function against its definition: inclusion, reference minimisers, Moreau, Fenchel-Young, constants, domain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monops import arrays, errors, functions
from monops.functions import Conjugate, Function
from monops.functions.separable import Separable
from tests.reference import cvxpy_prox, golden_prox
from tests.walk import CLASSES, Case, every, every_case, every_convex_case, inner, size

NOT_DISCIPLINED = {"Softmax"}  # convex, but not by CVXPY's rules; its optimality system is checked in test_activations.py
STEPS = (0.01, 0.5, 1.0, 3.0, 100.0)
SECTIONS = ("prox:", "**Domain**", "**Constants**", "**Cost**", "**Derivative**", "References", "Examples")


def test_every_module_of_the_package_is_gathered() -> None:
    root = Path(functions.__file__).parent
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(("monops.functions", *(part for part in parts if part != "__init__")))
        assert name in sys.modules, f"{path} is imported by no one: add it to monops/functions/__init__.py"
        missing = set(getattr(sys.modules[name], "__all__", ())) - set(functions.__all__)
        assert not missing, f"{missing} of {path} cannot be imported from monops.functions"


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not Function], ids=lambda cls: cls.__name__)
def test_every_class_has_samples_and_a_page_of_the_textbook(cls: type) -> None:
    assert cls.samples(), f"{cls.__name__}.samples() is empty"
    missing = [section for section in SECTIONS if section not in (cls.__doc__ or "")]
    assert not missing, f"the docstring of {cls.__name__} lacks {missing}"


@every_convex_case
@pytest.mark.parametrize("step", STEPS)
def test_prox_satisfies_the_subgradient_inequality(case: Case, step: float) -> None:
    """f(y) >= f(p) + <(x - p)/step, y - p> for y in the domain: the definition of p = prox(x)."""
    f, x = case.f, case.x()
    if not f.has_value and not f.conjugate().has_value:
        _is_monotone_with_the_prox_of_step_one(case, f, x, step)
        return
    if f.has_value:
        p = f.prox(x, step)
    else:  # prox of the conjugate by Moreau: check it through f, whose value is known
        f, dual = f.conjugate(), f
        p = (x - dual.prox(x, step)) / step
        x, step = x / step, 1.0 / step
    value = float(f(p))
    assert np.isfinite(value)
    slope = (x - p) / step
    slack = (1e-8 + 10 * case.sample.accuracy / min(step, 1.0)) * (1.0 + size(slope) + abs(value))
    for seed in range(30):
        y = case.x(seed + 50)
        y = p + 1e-3 * (y - p) if seed % 2 else y
        y = f.prox(y, 1e-8) if not np.isfinite(float(f(y))) else y  # into the domain
        assert float(f(y)) >= value + inner(slope, y - p) - slack * (1 + size(y - p))


def _is_monotone_with_the_prox_of_step_one(case: Case, f: Function, x: Any, step: float) -> None:
    """Without any value: (p, (x - p)/step) is monotonically related to the points of the maximal graph {(Py, y - Py)}."""
    p = f.prox(x, step)
    slope = (x - p) / step
    for seed in range(60):
        y = case.x(seed + 50, scale=1.0)
        y = p + slope + 10.0 ** -(seed % 4) * y
        q = f.prox(y, 1.0)
        slack = (1e-8 + 10 * case.sample.accuracy / min(step, 1.0)) * (1 + size(slope))
        assert inner(slope - (y - q), p - q) >= -slack * (1 + size(p - q))


@every(lambda case: case.f.is_convex and isinstance(case.f, Separable))
@pytest.mark.parametrize("step", [1e-3, 0.5, 1.0, 3.0, 1e3])
def test_separable_prox_satisfies_the_inclusion_entry_by_entry(case: Case, step: float) -> None:
    """(x - p)/step in the interval dphi(p): exact, no sampling."""
    f = case.f
    assert isinstance(f, Separable)
    for seed in range(5):
        x = case.x(seed)
        p = f.prox(x, step)
        v = (x - p) / step
        lower, upper = f.entry_subdifferential(p)
        assert np.all(lower <= upper)
        with np.errstate(all="ignore"):
            h = 1e-9 * (1 + np.abs(p))  # a subgradient at a point this near p is good enough where dphi is steep
            near = [f.entry_subdifferential(np.where(np.isfinite(f.entry_value(q)), q, p)) for q in (p - h, p + h)]
        lower, upper = np.fmin(lower, near[0][0]), np.fmax(upper, near[1][1])
        slack = 1e-9 * (1 + np.abs(v)) + 1e-13 * (np.abs(x) + np.abs(p)) / step
        assert np.all(v >= lower - slack)
        assert np.all(v <= upper + slack)


@every_case
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_prox_equals_a_slow_reference_minimiser(case: Case, step: float) -> None:
    f = case.f
    if isinstance(f, Separable):
        for seed in range(3):
            x = case.x(seed)
            golden, attained = golden_prox(f, x, step)
            p = f.prox(x, step)
            objective = f.entry_value(p) + (p - x) ** 2 / (2 * step)
            assert np.all(objective <= attained + 1e-9 * (1 + np.abs(attained)))
            if f.is_convex:
                np.testing.assert_allclose(p, golden, atol=2e-6, rtol=2e-6)
    elif case.sample.reference is not None:
        x = case.x(1)
        np.testing.assert_allclose(
            np.concatenate([leaf.ravel() for leaf in arrays.leaves(f.prox(x, step))]),
            cvxpy_prox(case.sample, x, step),
            atol=2e-5 + case.sample.accuracy,
            rtol=2e-5,
        )
    else:
        assert not f.is_convex or _is_wrapper(f) or case.cls.__name__ in NOT_DISCIPLINED, (
            f"{case.cls.__name__} is neither separable nor does its sample have a CVXPY reference"
        )
        if not f.has_value:
            return  # the inclusion above is the check, through the conjugate
        x = case.x(1)
        p = f.prox(x, step)
        best = float(f(p)) + size(x - p) ** 2 / (2 * step)
        for seed in range(400):
            y = case.x(seed + 7)
            y = p + 10.0 ** -(seed % 5) * (y - p)
            for candidate in (y, f.prox(y, step)):
                other = float(f(candidate)) + size(x - candidate) ** 2 / (2 * step)
                assert best <= other + 1e-9 * (1 + abs(best)) + case.sample.accuracy


def _is_wrapper(f: Function) -> bool:
    """Whether another function stands among the fields, so that the inclusion above is the check."""
    return any(isinstance(value, Function) or _holds_functions(value) for value in vars(f).values())


def _holds_functions(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(part, Function) for part in value)


@every_convex_case
def test_prox_is_firmly_nonexpansive_and_strongly_so(case: Case) -> None:
    """|Px - Py|^2 (1 + step mu) <= <Px - Py, x - y>."""
    f = case.f
    mu = f.constants.strong_monotonicity
    for seed in range(20):
        x, y = case.x(seed), case.x(seed + 99)
        moved = f.prox(x, 0.7) - f.prox(y, 0.7)
        assert inner(moved, moved) * (1 + 0.7 * mu) <= inner(moved, x - y) + (1e-10 + 10 * case.sample.accuracy) * (
            1 + size(x) + size(y)
        )


@every_convex_case
def test_gradient_is_the_derivative_of_the_value(case: Case) -> None:
    f, x = case.f, case.x()
    if not f.has_gradient:
        with pytest.raises(errors.CapabilityError):
            f.gradient(x)
        return
    direction, h = case.x(7, scale=1.0), 1e-6
    numeric = (float(f(x + h * direction)) - float(f(x - h * direction))) / (2 * h)
    assert abs(numeric - inner(f.gradient(x), direction)) < (1e-6 + 10 * case.sample.accuracy) * (1 + abs(numeric))


@every_convex_case
def test_moreau_decomposition_against_the_conjugate_class(case: Case) -> None:
    """x = prox_{s f}(x) + s prox_{f*/s}(x/s)."""
    f, x = case.f, case.x()
    for step in (0.3, 2.0):
        dual = f.conjugate().prox(x / step, 1.0 / step)
        case.close(f.prox(x, step) + step * dual, x, factor=10, size=size(x))


@every_convex_case
def test_fenchel_young_is_an_equality_at_the_prox_and_an_inequality_elsewhere(case: Case) -> None:
    f = case.f
    conjugate = f.conjugate()
    if not (f.has_value and conjugate.has_value):
        assert isinstance(conjugate, Conjugate) or isinstance(f, Conjugate) or _is_wrapper(f)
        return
    x = case.x()
    p = f.prox(x, 1.0)
    u = x - p
    scale = 1 + abs(float(f(p))) + size(p) * size(u)
    assert abs(float(f(p)) + float(conjugate(u)) - inner(p, u)) < (1e-9 + 10 * case.sample.accuracy) * scale
    for seed in range(10):
        y = f.prox(case.x(seed + 20), 1e-3)
        slack = (1e-9 + 10 * case.sample.accuracy) * (scale + size(y) * size(u))
        assert float(f(y)) + float(conjugate(u)) >= inner(y, u) - slack


@every_convex_case
def test_claimed_constants_hold_and_are_attained(case: Case) -> None:
    f = case.f
    if not f.has_gradient:
        known = f.constants.lipschitz  # the conjugate of a strongly convex function is smooth without a gradient of its own
        assert known is None or _is_wrapper(f), f"{case.cls.__name__} declares L = {known} but has no gradient: override it"
        return
    ratios, curvatures = [], []
    for seed in range(200):
        x, y = case.x(seed, 0.5), case.x(seed + 1000, 0.5)
        y = x + 0.05 * y if seed % 2 else y
        moved, change = x - y, f.gradient(x) - f.gradient(y)
        ratios.append((inner(change, change) / inner(moved, moved)) ** 0.5)
        curvatures.append(inner(change, moved) / inner(moved, moved))
    lipschitz, mu = f.constants.lipschitz, f.constants.strong_monotonicity
    slack = 1e-8 + 100 * case.sample.accuracy
    assert min(curvatures) >= mu - slack
    if lipschitz is None:
        return
    assert max(ratios) <= lipschitz * (1 + 1e-9) + slack
    if case.sample.exact and lipschitz:
        top, bottom = _extreme_curvature(f, case, largest=True), _extreme_curvature(f, case, largest=False)
        way_out = "declare the exact number, or Sample(exact=False)"
        assert top >= 0.99 * lipschitz, f"L = {lipschitz} is declared, but the largest curvature seen is {top}: {way_out}"
        assert bottom <= mu + 0.01 * lipschitz, f"mu = {mu} is declared, but the least curvature seen is {bottom}: {way_out}"


def _extreme_curvature(f: Function, case: Case, largest: bool) -> float:
    """Extreme eigenvalue of numerical Hessians at a few points, the origin first."""
    found = []
    for scale in (0.0, 1e-3, 0.1, 1.0, 5.0, 50.0):
        x = case.x(3, scale)
        if isinstance(x, tuple):
            blocks = [_hessian(part, block) for part, block in zip(f.functions, x, strict=True) if part.has_gradient]
        else:
            blocks = [_hessian(f, x)]
        for block in blocks:
            values = np.linalg.eigvalsh(block)
            found.append(values[-1] if largest else values[0])
    return float(max(found) if largest else min(found))


def _hessian(f: Function, x: np.ndarray) -> np.ndarray:
    h = 1e-5
    basis = np.eye(x.size).reshape((x.size, *x.shape))
    columns = [((f.gradient(x + h * e) - f.gradient(x - h * e)) / (2 * h)).ravel() for e in basis]
    return 0.5 * (np.array(columns) + np.array(columns).T)


@every_case
def test_claimed_lipschitz_constant_of_the_value_holds(case: Case) -> None:
    f = case.f
    if f.value_lipschitz is None:
        return
    bound = f.value_lipschitz.value
    for seed in range(60):
        x, y = case.x(seed), case.x(seed + 500)
        y = x + 0.01 * y if seed % 2 else y
        if np.isfinite(float(f(x))) and np.isfinite(float(f(y))):
            assert abs(float(f(x)) - float(f(y))) <= bound * size(x - y) * (1 + 1e-9) + 1e-9


@every_convex_case
def test_domain_is_where_the_value_is_finite(case: Case) -> None:
    f = case.f
    if f.domain is None or not f.has_value:
        return
    x = case.x()
    assert float(f.domain(f.prox(x, 0.7))) == 0
    for seed in range(20):
        y = case.x(seed, 3.0)
        if np.isfinite(float(f(y))):
            assert float(f.domain(y)) == 0

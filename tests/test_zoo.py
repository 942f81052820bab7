"""Every problem of the zoo against every method: where its theorem covers the problem it finds the answer, elsewhere it says
what is missing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monops
from monops import Blocks, arrays
from monops.algorithms import methods
from monops.errors import NotApplicableError
from monops.solve import choose
from tests.backends import BACKENDS
from tests.zoo import PROBLEMS, UNSOLVABLE, Problem, Unsolvable
from tests.zoo.problem import host, rng

ITERATIONS, CHECK_EVERY, RESIDUAL = 20_000, 50, 1e-6
HYPOTHESES = (
    "affine", "cocoerciv", "convex", "cyclic", "finite", "forward value", "function", "gradient", "linear map", "lipschitz",
    "monoton", "norm", "quadratic", "resolvent", "shape", "skew", "smooth", "term",
)  # fmt: skip

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
every_method = pytest.mark.parametrize("method", methods(), ids=lambda method: method.__name__)
unsolvable = pytest.mark.parametrize("problem", UNSOLVABLE, ids=lambda problem: problem.name)


def start(problem: Problem | Unsolvable) -> Any:
    """The start on NumPy."""
    return problem.start(host)


def test_the_zoo_is_large_and_its_names_are_unique() -> None:
    names = [problem.name for problem in (*PROBLEMS, *UNSOLVABLE)]
    assert len(PROBLEMS) >= 25
    assert len(set(names)) == len(names)


@every_problem
def test_the_reference_is_right_and_other_points_are_not(problem: Problem) -> None:
    """The trusted solver's answer satisfies the definition; the start and points beside the answer do not."""
    answer = problem.reference.x
    assert problem.miss(answer) < 0.1 * problem.tolerance
    assert problem.miss(start(problem)) > 10 * problem.tolerance
    generator = rng(0)
    moved = arrays.tree_map(lambda leaf: leaf + 2.0 * generator.standard_normal(leaf.shape), answer)
    assert problem.error(moved) > problem.tolerance


@every_method
@every_problem
def test_every_method_that_applies_finds_the_answer(problem: Problem, method: type[monops.Algorithm]) -> None:
    """Residual 1e-6 within 20000 iterations, and the distance from the answer within the tolerance of the problem."""
    try:
        method().match(problem.problem)
    except NotApplicableError as refusal:
        sentence = str(refusal)
        terms = [str(term) for term in problem.problem.terms]
        assert sentence.startswith(f"{method.__name__} does not apply: ")
        assert any(word in sentence.lower() for word in HYPOTHESES) or any(term in sentence for term in terms)
        return
    result = monops.solve(
        problem.problem,
        method(),
        x0=start(problem),
        tol=RESIDUAL,
        max_iter=ITERATIONS,
        check_every=CHECK_EVERY,
        on_failure="ignore",
    )
    assert problem.miss(result.x) <= problem.tolerance, result.message
    assert result.success, result.message


@every_problem
def test_the_default_method_finds_the_answer(problem: Problem) -> None:
    result = monops.solve(problem.problem, x0=start(problem), tol=RESIDUAL, max_iter=ITERATIONS, on_failure="ignore")
    assert result.success, f"{result.choice}: {result.message}"
    assert problem.miss(result.x) <= problem.tolerance


@every_problem
def test_the_start_may_be_left_out_where_the_data_fix_its_shape(problem: Problem) -> None:
    if problem.problem.input_shape is None:
        with pytest.raises(monops.errors.ShapeError, match="pass x0"):
            monops.solve(problem.problem)
        return
    result = monops.solve(problem.problem, max_iter=10, on_failure="ignore")
    shapes = arrays.tree_map(lambda leaf: leaf.shape, start(problem))
    assert arrays.tree_map(lambda leaf: leaf.shape, result.x) == shapes


@pytest.mark.parametrize(
    "backend", [backend for backend in BACKENDS if backend.name in ("torch", "strict")], ids=lambda b: b.name
)
@every_problem
def test_ten_steps_are_the_same_on_other_libraries(problem: Problem, backend: Any) -> None:
    if backend.missing:
        pytest.skip(backend.missing)
    algorithm, _, _ = choose(problem.problem, None)
    settings: dict[str, Any] = {"algorithm": algorithm, "max_iter": 10, "on_failure": "ignore"}
    expected = monops.solve(problem.problem, x0=start(problem), **settings).x
    found = monops.solve(problem.build(backend.asarray), x0=problem.start(backend.asarray), **settings).x
    for got, wanted in zip(arrays.leaves(found), arrays.leaves(expected), strict=True):
        np.testing.assert_allclose(backend.to_numpy(got), wanted, atol=1e-9)


@unsolvable
def test_the_trusted_solver_finds_no_solution_either(problem: Unsolvable) -> None:
    words = problem.trusted()
    assert words in ("infeasible", "unbounded") or (words.startswith("distance") and float(words.split()[1]) > 0)


@every_method
@unsolvable
def test_no_method_claims_a_solution_where_there_is_none(problem: Unsolvable, method: type[monops.Algorithm]) -> None:
    inclusion = problem.build(host)
    try:
        method().match(inclusion)
    except NotApplicableError:
        return
    result = monops.solve(inclusion, method(), x0=start(problem), max_iter=500, check_every=CHECK_EVERY, on_failure="ignore")
    assert not result.success
    assert result.residual > RESIDUAL
    assert "is false" not in result.message  # every constant of these problems is true


@unsolvable
def test_the_default_method_says_why_there_is_no_solution(problem: Unsolvable) -> None:
    kind = "unbounded" if "unbounded" in problem.name else "infeasible"
    with pytest.warns(monops.errors.NotConvergedWarning, match=f"inconsistent: {kind}"):
        result = monops.solve(problem.build(host), x0=start(problem), max_iter=500)
    assert result.status is monops.Status.INCONSISTENT
    assert result.inconsistency is not None
    assert result.inconsistency.value < 0


def test_blocks_that_do_not_fit_are_refused_in_words() -> None:
    problem = next(problem for problem in PROBLEMS if problem.name == "robust principal components").problem
    zero = np.zeros((7, 6))
    for x0, error, words in (
        (zero, monops.errors.ShapeError, "Blocks of 2 arrays"),
        (Blocks((zero, np.zeros((6, 7)))), monops.errors.ShapeError, r"\(6, 7\)"),
        (Blocks((zero, zero.astype(np.float32))), monops.errors.BackendError, "float32"),
        (Blocks((zero, zero.astype(int))), monops.errors.BackendError, r"x0\[1\] has dtype int"),
    ):
        with pytest.raises(error, match=words):
            monops.solve(problem, x0=x0)


def test_the_page_of_the_documentation_shows_every_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("zoo_page", Path(__file__).parent.parent / "docs" / "zoo_page.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec.loader.exec_module(page)
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    page.generate()
    text = (tmp_path / "zoo.md").read_text(encoding="utf-8").lower()
    for problem in (*PROBLEMS, *UNSOLVABLE):
        assert f"## {problem.name.lower()}\n" in text
    assert "methods** (0 of" not in text

"""Bad input, one row each: what a user did, the exception, and the words of cause and fix in its sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import monops
from monops import errors

EYE, ONES = np.eye(3), np.ones(3)


def nan_at(index: int) -> np.ndarray:
    """Ones with one NaN."""
    values = np.ones(3)
    values[index] = np.nan
    return values


def lasso() -> monops.Inclusion:
    """A lasso with L = 1."""
    return monops.LeastSquares(EYE, ONES) + 0.1 * monops.L1Norm()


def strict(host: np.ndarray, device: str = "CPU_DEVICE") -> Any:
    """An array_api_strict array on one of its devices."""
    import array_api_strict

    return array_api_strict.asarray(host, device=array_api_strict.Device(device))


ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])

TABLE: list[tuple[str, Callable[[], Any], type[Exception], list[str]]] = [
    (
        "NaN in the data",
        lambda: monops.solve(monops.LeastSquares(EYE, nan_at(1)) + 0.1 * monops.L1Norm()),
        errors.DataError,
        ["b", "NaN", "1", "impute"],
    ),
    ("a constant that is text", lambda: monops.Constants(cocoercivity="1"), errors.ConstantError, ["cocoercivity", "number"]),
    ("no callable", lambda: monops.operators.Custom(EYE), errors.DataError, ["forward", "Affine(M)"]),
    (
        "constants that are a number",
        lambda: monops.operators.Custom(lambda x: x, constants=1.0),  # type: ignore[arg-type]
        errors.DataError,
        ["constants=Constants("],
    ),
    (
        "one array as the start of a game",
        lambda: monops.solve(monops.matrix_game(EYE), x0=ONES),
        errors.ShapeError,
        ["Blocks of 2", "got one array of shape (3,)"],
    ),
    ("division by text", lambda: monops.L1Norm() / "2", errors.DataError, ["other than 0"]),
    ("division by zero", lambda: monops.L1Norm() / 0, errors.DataError, ["L1Norm", "other than 0"]),
    (
        "a class in place of a method",
        lambda: monops.solve(lasso(), monops.ForwardBackward),  # type: ignore[arg-type]
        errors.DataError,
        ["write ForwardBackward()"],
    ),
    ("NaN in the start", lambda: monops.solve(lasso(), x0=nan_at(0)), errors.DataError, ["x0", "non-finite", "0"]),
    (
        "shapes that do not match",
        lambda: monops.LeastSquares(EYE, np.ones(4)),
        errors.ShapeError,
        ["3", "4"],
    ),
    ("start of the wrong shape", lambda: monops.solve(lasso(), x0=np.ones(4)), errors.ShapeError, ["x0", "(4,)", "(3,)"]),
    (
        "two terms that need different shapes",
        lambda: monops.LeastSquares(EYE, ONES) + monops.LeastSquares(np.eye(4), np.ones(4)),
        errors.ShapeError,
        ["(3,)", "(4,)"],
    ),
    (
        "mixed precision",
        lambda: monops.solve(lasso(), x0=np.ones(3, dtype=np.float32)),
        errors.BackendError,
        ["float64", "float32", "convert"],
    ),
    ("integer data", lambda: monops.LeastSquares(np.eye(3, dtype=int), ONES), errors.BackendError, ["int64", "floating"]),
    ("a list for a matrix", lambda: monops.LeastSquares([[1.0, 0.0]], ONES), errors.BackendError, ["list"]),
    ("mixed libraries", lambda: monops.solve(lasso(), x0=strict(ONES)), errors.BackendError, ["numpy", "array_api_strict"]),
    (
        "mixed devices",
        lambda: monops.solve(
            monops.LeastSquares(strict(EYE), strict(ONES)) + monops.L1Norm(), x0=strict(np.zeros(3), "device1")
        ),
        errors.BackendError,
        ["device", "move"],
    ),
    ("a negative weight", lambda: monops.L1Norm(-1.0), errors.DataError, ["weight", "-1"]),
    ("a negative factor", lambda: -2.0 * monops.L1Norm(), errors.DataError, ["-2", "convex"]),
    ("an empty box", lambda: monops.Box(1.0, 0.0), errors.DataError, ["lower", "upper"]),
    (
        "a step that is too large",
        lambda: monops.solve(lasso(), monops.ForwardBackward(step_size=2.5)),
        errors.StepSizeError,
        ["2.5", "(0, 2)", "2*beta", "Bauschke-Combettes", "step_size=None"],
    ),
    (
        "a negative step",
        lambda: monops.solve(lasso(), monops.ForwardBackward(step_size=-1.0)),
        errors.StepSizeError,
        ["-1", "(0, 2)"],
    ),
    (
        "a NaN step",
        lambda: monops.solve(lasso(), monops.ForwardBackward(step_size=float("nan"))),
        errors.StepSizeError,
        ["nan"],
    ),
    (
        "a relaxation of 2",
        lambda: monops.solve(lasso(), monops.DouglasRachford(relaxation=2.0)),
        errors.StepSizeError,
        ["relaxation=2", "PeacemanRachford"],
    ),
    (
        "a false declared constant",
        lambda: monops.solve(
            monops.Custom(forward=lambda x: 3.0 * x - 1.0, constants=monops.Constants(0.5, lipschitz=1.0)), x0=ONES
        ),
        errors.ConstantError,
        ["lipschitz=1", "false", "3"],
    ),
    (
        "a false strong monotonicity of a resolvent",
        lambda: monops.solve(
            monops.Custom(resolvent=lambda x, step: x, constants=monops.Constants(strong_monotonicity=1.0)), x0=ONES
        ),
        errors.ConstantError,
        ["strong_monotonicity=1", "false"],
    ),
    ("impossible constants", lambda: monops.Constants(2.0, lipschitz=1.0), errors.ConstantError, ["2.0", "1.0", "wrong"]),
    (
        "neither forward nor resolvent",
        lambda: monops.Custom(constants=monops.Constants(0.0)),
        errors.CapabilityError,
        ["forward", "resolvent"],
    ),
    (
        "unknown constants",
        lambda: monops.solve(monops.Custom(forward=lambda x: x), x0=ONES),
        errors.NotApplicableError,
        ["not known to be monotone", "declare"],
    ),
    (
        "an operator that is not monotone",
        lambda: monops.Affine(-EYE),
        errors.ConstantError,
        ["monotone", "-1"],
    ),
    (
        "forward-backward on a rotation",
        lambda: monops.solve(monops.Affine(ROTATION) + monops.L1Norm(), monops.ForwardBackward()),
        errors.NotApplicableError,
        ["cocoercivity is 0", "DouglasRachford"],
    ),
    (
        "acceleration of an operator",
        lambda: monops.solve(monops.Affine(ROTATION + np.eye(2)) + monops.L1Norm(), monops.AcceleratedForwardBackward()),
        errors.NotApplicableError,
        ["convex functions"],
    ),
    (
        "Peaceman-Rachford without strong monotonicity",
        lambda: monops.solve(monops.L1Norm() + monops.Box(0.0, 1.0), monops.PeacemanRachford(), x0=ONES),
        errors.NotApplicableError,
        ["strongly monotone", "DouglasRachford"],
    ),
    (
        "a prox that is not closed-form",
        lambda: monops.solve(monops.L1Norm() @ EYE + monops.Box(0.0, 1.0), monops.DouglasRachford()),
        errors.NotApplicableError,
        ["linear map", "ChambollePock"],
    ),
    ("no start and no shape", lambda: monops.solve(monops.L1Norm() + monops.Box(0.0, 1.0)), errors.ShapeError, ["pass x0"]),
    ("unknown keyword", lambda: monops.solve(lasso(), maxiter=3), TypeError, ["maxiter"]),
    ("unknown setting", lambda: monops.ForwardBackward(step=1.0), TypeError, ["step"]),
    ("a tolerance that is no number", lambda: monops.solve(lasso(), tol=float("nan")), errors.DataError, ["tol=nan"]),
    ("a negative limit", lambda: monops.solve(lasso(), max_iter=-1), errors.DataError, ["max_iter=-1"]),
    ("a class for an object", lambda: monops.solve(lasso(), monops.ForwardBackward), errors.DataError, ["ForwardBackward"]),
    ("no problem", lambda: monops.solve(EYE), errors.DataError, ["ndarray", "LeastSquares"]),
    ("an array for a factor", lambda: np.ones(3) * monops.L1Norm(), errors.DataError, ["array", "L1Norm(weights)"]),
    ("a difference of functions", lambda: monops.SquaredL2() - monops.L1Norm(), errors.DataError, ["not convex", "translate"]),
    ("A @ K", lambda: monops.Affine(EYE) @ EYE, errors.ConstantError, ["K.T @ A @ K"]),
    ("two different maps around A", lambda: EYE.T @ monops.Affine(EYE) @ (2 * EYE), errors.ShapeError, ["same K"]),
    ("wrong on_failure", lambda: monops.solve(lasso(), on_failure="panic"), errors.DataError, ["panic", "warn"]),
    (
        "normal cone of a function that is no set",
        lambda: monops.NormalCone(monops.L1Norm()),
        errors.MonopsError,
        ["L1Norm", "set"],
    ),
]


@pytest.mark.parametrize(("call", "exception", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_bad_input_gets_a_sentence_that_names_cause_and_fix(
    call: Callable[[], Any], exception: type[Exception], words: list[str]
) -> None:
    with pytest.raises(exception) as caught:
        call()
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in: {message}"

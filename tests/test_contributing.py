"""The example of CONTRIBUTING is a function as good as the others: every claim of the walk holds for it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from tests import test_function_derivatives, test_functions
from tests.walk import Case

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example() -> Any:
    """The class of the first Python block."""
    match = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    scope = dict(globals())
    exec(compile("from __future__ import annotations\n" + textwrap.dedent(match.group(1)), "CONTRIBUTING.md", "exec"), scope)
    return scope["Expectile"]


def test_the_example_passes_the_walk() -> None:
    cls = example()
    case = Case(cls, cls.samples()[0])
    for step in (0.3, 2.0):
        test_functions.test_prox_equals_a_slow_reference_minimiser(case, step)
        test_functions.test_separable_prox_satisfies_the_inclusion_entry_by_entry(case, step)
    test_functions.test_claimed_constants_hold_and_are_attained(case)
    test_function_derivatives.test_derivative_in_x_is_the_finite_difference(case)
    test_function_derivatives.test_derivatives_in_the_parameters_are_finite_differences(case)
    assert set(case.f.prox_parameter_derivatives(case.x(), 1.0)) == {"up", "down"}

"""The example of CONTRIBUTING is a function as good as the others: every claim of the walk holds for it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from tests import test_function_derivatives, test_functions
from tests.walk import Case

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final
from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.functions.weights import check_weight
"""


def example() -> Any:
    """The class of the first Python block, with the imports of a family's file."""
    match = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    scope: dict[str, Any] = {"__name__": __name__}  # a dataclass looks its module up
    exec(compile(HEAD + textwrap.dedent(match.group(1)), "CONTRIBUTING.md", "exec"), scope)
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

"""Writes the page of the zoo before Sphinx reads it: every problem, what solves it, and who vouches for the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))  # the problems live with the tests

from monops import assess
from monops.algorithms import Assessment
from tests.zoo import PROBLEMS, UNSOLVABLE, Problem, Unsolvable

INTRODUCTION = """# Zoo

{count} problems with an answer that a trusted solver gives, and {hopeless} without a solution, generated from `tests/zoo`. In
`tests/test_zoo.py` every method is held against every problem: where its theorem covers the problem, it must come to a residual
of 1e-6 and to the answer; elsewhere it must say what is missing. The default method, the one with the least predicted effort,
stands first.
"""


def shape_text(shape: Any) -> str:
    """Shape of the unknown, blocks in brackets."""
    if shape and isinstance(shape[0], tuple):
        return ", ".join(shape_text(part) for part in shape) + " (blocks)"
    return " x ".join(str(n) for n in shape)


def shape_of(point: Any) -> Any:
    """Shape of a point, with a tuple of shapes for blocks."""
    return tuple(shape_of(block) for block in point) if isinstance(point, tuple) else point.shape


def constants_text(problem: Problem) -> str:
    """What is known of each term, with its provenance."""
    rows = []
    for term in problem.problem.terms:
        known = [
            f"{symbol} = {float(value):.3g} ({term.constants.reasons[name]})"
            for symbol, name in (("mu", "strong_monotonicity"), ("beta", "cocoercivity"), ("L", "lipschitz"))
            if (value := getattr(term.constants, name)) is not None and value != 0 and np.isfinite(float(value))
        ]
        if known:
            rows.append(f"  - `{term}`: {', '.join(known)}")
    return "\n".join(rows) or "  - none beyond monotonicity"


def methods_text(assessments: list[Assessment]) -> str:
    """Names of the methods that apply, least predicted effort first."""
    names = [f"`{entry.algorithm.name}`" for entry in assessments if entry.terms is not None]
    return ", ".join(names) or "none"


def entry(problem: Problem) -> str:
    """The section of one problem."""
    assessments = assess(problem.problem)
    solutions = "one solution" if problem.unique else "solutions need not be unique"
    applicable = sum(assessment.terms is not None for assessment in assessments)
    return f"""## {problem.name[0].upper()}{problem.name[1:]}

```text
{problem.problem}
```

- **Unknown**: {shape_text(shape_of(problem.start(np.array)))}; {solutions}.
- **Constants** of the terms:
{constants_text(problem)}
- **Methods** ({applicable} of {len(assessments)}): {methods_text(assessments)}.
- **Reference**: {problem.source}.
"""


def hopeless_entry(problem: Unsolvable) -> str:
    """The section of one problem without a solution."""
    return f"""## {problem.name[0].upper()}{problem.name[1:]}

```text
{problem.build(np.array)}
```

No solution: {problem.why}.
"""


def generate(*_: Any) -> None:
    """The page, unless it is already what it should be (Sphinx then does not read it again)."""
    parts = [INTRODUCTION.format(count=len(PROBLEMS), hopeless=len(UNSOLVABLE))]
    parts += [entry(problem) for problem in PROBLEMS]
    parts += [hopeless_entry(problem) for problem in UNSOLVABLE]
    text, path = "\n".join(parts), FOLDER / "zoo.md"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")

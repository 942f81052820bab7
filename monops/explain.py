"""Which methods apply to a problem, why the others do not, and what each is proven to do."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from monops.algorithms import Algorithm, Assessment, assess, grouped_refusals
from monops.problem import Inclusion, Summand
from monops.solve import as_inclusion

WIDTHS = (38, 18, 11, 62, 44)
HEADINGS = ("method", "proven steps", "default", "rate", "cost of an iteration")


@dataclass(frozen=True)
class Explanation:
    """A table of methods for one problem; print it, or read ``assessments``."""

    problem: Inclusion
    assessments: tuple[Assessment, ...]

    def applicable(self) -> tuple[str, ...]:
        """Names of the methods that apply, the one that ``solve`` would pick first (none, where nothing is proven)."""
        return tuple(entry.algorithm.name for entry in self.assessments if entry.terms is not None)

    def __str__(self) -> str:
        lines = [str(self.problem), ""]
        lines += [self._term(index) for index in range(len(self.problem.terms))]
        lines += ["", _row(HEADINGS), _row(tuple("-" * (width - 1) for width in WIDTHS))]
        refusals = []
        for entry in self.assessments:
            if entry.terms is None:
                refusals.append(entry)
                continue
            guarantee, step = entry.terms.guarantee, entry.terms.step_size
            factor = guarantee.factor(step)
            rate = guarantee.rate if factor is None else f"{guarantee.rate} (factor {factor:.6g})"
            mark = " *" if entry is self.assessments[0] and entry.effort < math.inf else ""
            lines.append(
                _row((entry.algorithm.name + mark, guarantee.interval_text, f"{step:.4g}", rate, entry.algorithm.cost))
            )
        if refusals:
            lines += ["", "do not apply:"]
            lines += [textwrap.fill(f"- {reason}", 128, subsequent_indent="    ") for reason in grouped_refusals(refusals)]
        if self.assessments[0].effort < math.inf:
            lines += ["", "* least predicted effort: what solve picks"]
        elif self.applicable():
            lines += ["", "nothing is proven for this problem: solve picks none of these, they have to be asked for by name"]
        return "\n".join(lines)

    def _term(self, index: int) -> str:
        term = self.problem.terms[index]
        known = term.constants
        parts = []
        for letter, name in (("mu", "strong_monotonicity"), ("beta", "cocoercivity"), ("L", "lipschitz")):
            value = getattr(known, name)
            parts.append(f"{letter} unknown" if value is None else f"{letter} = {float(value):.4g} ({known.reasons[name]})")
        abilities = [word for word, has in (("forward", term.has_forward), ("resolvent", term.has_resolvent)) if has]
        return textwrap.fill(
            f"  {term}: {' and '.join(abilities) or 'neither forward nor resolvent'}; {'; '.join(parts)}",
            128,
            subsequent_indent="      ",
        )

    __repr__ = __str__


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width - 1) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def explain(problem: Inclusion | Summand, batch_ndim: int = 0) -> Explanation:
    """Hold every method against the problem.

    Parameters
    ----------
    problem : Inclusion, Function or Operator
    batch_ndim : int, default 0
        As in ``solve``.

    Returns
    -------
    Explanation
        Prints as a table: method, interval of proven steps, the step taken by default, rate, cost of an iteration; below it
        the methods that do not apply, each with the missing hypothesis and the way out.

    Examples
    --------
    >>> import numpy as np, monops
    >>> monops.explain(monops.LeastSquares(np.eye(2), np.ones(2)) + monops.L1Norm()).applicable()[0]
    'ForwardBackward'
    """
    inclusion = as_inclusion(problem).batched(batch_ndim)
    return Explanation(inclusion, tuple(assess(inclusion)))


def rate(
    algorithm: Algorithm, problem: Inclusion | Summand, step_size: float | None = None, batch_ndim: int = 0
) -> float | None:
    """The proven contraction factor of one iteration of a method on a problem.

    Parameters
    ----------
    algorithm : Algorithm
    problem : Inclusion, Function or Operator
    step_size : float, optional
        Any step inside the proven interval. Default: the step that the method takes.
    batch_ndim : int, default 0
        As in ``solve``.

    Returns
    -------
    float or None
        The distance to the solution (for a method with memory: the energy that its ``guarantee`` names) shrinks by this
        factor or a smaller one; None where no linear rate is proven. It is the number that `proofs` checks.

    Raises
    ------
    NotApplicableError, StepSizeError
        As ``solve`` does.

    Examples
    --------
    >>> import numpy as np, monops
    >>> M = np.array([[0.6, -0.8], [0.8, 0.6]])  # mu = 0.6, L = 1: forward steps contract by sqrt(1 - mu^2/L^2)
    >>> round(monops.rate(monops.ForwardStep(), monops.Affine(M)), 9)
    0.8
    """
    terms = algorithm.match(as_inclusion(problem).batched(batch_ndim))
    if step_size is None:
        return terms.guarantee.factor(terms.step_size)
    return terms.guarantee.factor(terms.guarantee.resolve(step_size, algorithm.name))


def best_step(algorithm: Algorithm, problem: Inclusion | Summand, batch_ndim: int = 0) -> float:
    """The step size with the best proven rate of a method on a problem; the usual choice where no rate tells steps apart.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Quadratic(np.diag([1.0, 3.0])) + monops.L1Norm()
    >>> monops.best_step(monops.ForwardBackward(), problem)  # 2/(mu + L)
    0.5
    """
    return float(algorithm.match(as_inclusion(problem).batched(batch_ndim)).guarantee.best_step)

"""Writes the pages of the methods before Sphinx reads them: an index, a page a method, and which method for which problem.

Everything comes from the methods themselves and from runs: docstrings, what ``match`` accepts, measured residuals beside the
proven factor.
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
import theorem_pages
from matplotlib import pyplot

import monops
from monops.algorithms import Algorithm, methods
from monops.solve import as_inclusion

ROOT = Path(__file__).parent
FOLDER = ROOT / "methods"
ITERATIONS = 200
SHOWN = 3  # problems in one plot
FLOOR = 1e-12  # residuals below are rounding


class Typical(NamedTuple):
    """A problem as a user meets it: in words, and in code with ``np``, ``monops`` and the data below."""

    title: str
    words: str
    code: str
    plotted: bool = True
    size: int = 5  # of x, where the data do not fix it

    @property
    def problem(self) -> Any:
        """The inclusion."""
        return as_inclusion(eval(self.code, {"np": np, "monops": monops, **DATA}))


def _data() -> dict[str, Any]:
    draw = np.random.default_rng(0).standard_normal
    A, F, S = draw((40, 20)), draw((12, 12)), draw((10, 10))
    signal = np.repeat([0.0, 2.0, 1.0, -1.0], 6) + 0.3 * draw(24)
    return {
        "A": A,
        "b": A[:, 0] - A[:, 1] + 0.1 * draw(40),
        "wide": draw((10, 24)),
        "labels": np.sign(A[:, 0] + 0.5 * draw(40)),
        "P": F.T @ F / 12 + 0.3 * np.eye(12),
        "q": draw(12),
        "M": 0.3 * np.eye(10) + 0.3 * (S - S.T),
        "r": draw(10),
        "N": 0.9 * S / np.linalg.norm(S, 2),
        "payoff": draw((6, 8)),
        "signal": signal,
        "D": np.diff(np.eye(24), axis=0),
    }


DATA = _data()
TYPICAL = (
    Typical("Lasso", "least squares with an l1 penalty", "monops.LeastSquares(A, b) + 2.0 * monops.L1Norm()"),
    Typical(
        "Box-constrained quadratic program",
        "strongly convex and smooth, over a box",
        "monops.Quadratic(P, q) + monops.Box(-0.5, 0.5)",
    ),
    Typical("Smooth and strongly convex", "ridge regression: one smooth function", "monops.Quadratic(P, q)"),
    Typical(
        "Sparse logistic regression",
        "a smooth loss of Ax with an l1 penalty",
        "monops.LogisticLoss(labels) @ A + 0.5 * monops.L1Norm()",
        plotted=False,
    ),
    Typical(
        "Three terms",
        "a smooth function, a penalty and a constraint",
        "monops.Quadratic(P, q) + 0.3 * monops.L1Norm() + monops.Box(0.0, 0.4)",
    ),
    Typical(
        "Basis pursuit",
        "the smallest l1 norm with Ax = b: two functions that are not smooth",
        "monops.L1Norm() + monops.AffineSet(wide, wide @ np.eye(24)[0])",
    ),
    Typical(
        "Total variation",
        "denoising a signal: a penalty behind a linear map",
        "monops.SquaredL2().translate(signal) + 0.7 * monops.L1Norm() @ D",
    ),
    Typical(
        "Generalised lasso",
        "least squares, a constraint, and a penalty behind a linear map",
        "monops.LeastSquares(wide, wide[:, 0]) + 0.1 * monops.L1Norm() @ D + monops.Box(-2.0, 2.0)",
        plotted=False,
    ),
    Typical(
        "Feasibility",
        "a point in two sets",
        "monops.Simplex() + monops.L2Ball(0.5)",
        plotted=False,
    ),
    Typical(
        "Monotone complementarity problem",
        "an affine operator with a large skew part, over the nonnegative orthant",
        "monops.Affine(M, r) + monops.NonNegative()",
    ),
    Typical(
        "Matrix game",
        "two players, mixed strategies in simplices",
        "monops.Saddle(monops.Simplex(), monops.Simplex(), payoff)",
    ),
    Typical(
        "Fixed point of a contraction",
        "a map with a declared Lipschitz constant below 1, as the layer of an equilibrium network",
        "monops.FixedPoint(lambda z: np.tanh(N @ z + r), lipschitz=0.9)",
        size=10,
    ),
    Typical(
        "Fixed point of any map",
        "a map of which nothing is declared: solve picks nothing, and these methods have to be asked for by name",
        "monops.FixedPoint(lambda z: np.tanh(2.0 * N @ z + r))",
        size=10,
    ),
    Typical("Strongly monotone linear system", "Mx + r = 0 with a large skew part", "monops.Affine(M, r)"),
    Typical(
        "A finite sum",
        "many losses, one after the other: the stochastic methods",
        "sum(monops.SquaredL2().translate(b[4*j:4*j+4]) @ monops.Matrix(A[4*j:4*j+4]) for j in range(10)) + monops.L1Norm()",
    ),
    Typical(
        "Sharing",
        "several blocks that meet in a function of their sum",
        "monops.SeparableSum((monops.L1Norm(), monops.SquaredL2(0.5), monops.Box(-0.2, 0.2))) "
        "+ monops.SquaredL2().translate(q) @ monops.Row((monops.Identity((12,)),) * 3)",
    ),
    Typical(
        "One prox",
        "a single function that is not smooth",
        "monops.L1Norm().translate(np.ones(5))",
        plotted=False,
    ),
)


def escape(text: str) -> str:
    """Plain text for Markdown, tables too."""
    return re.sub(r"([\\*`|_<>\[\]$])", r"\\\1", " ".join(text.split()))


def family(method: type[Algorithm]) -> str:
    """Name of the folder that holds the method."""
    return method.__module__.split(".")[-2]


def section(method: type[Algorithm], start: str) -> str:
    """What a docstring says behind a word such as ``NotApplicableError`` or ``References``."""
    text = inspect.getdoc(method) or ""
    ends = r"(?=\n\S[^\n]*\n +|\n\n[A-Z][a-z]+\n-+|\n[A-Z]\w+Error\n|\Z)"
    match = re.search(re.escape(start) + r"\n(?:-+\n)?(.*?)" + ends, text, re.DOTALL)
    return " ".join(match.group(1).split()) if match else ""


def headline(method: type[Algorithm]) -> str:
    """First paragraph of a docstring."""
    return " ".join((inspect.getdoc(method) or "").split("\n\n")[0].split())


class Run(NamedTuple):
    """One method on one problem."""

    typical: Typical
    terms: Any
    residuals: list[float]


def demanding() -> list[Typical]:
    """The problems to plot, the one to which the fewest methods apply first: it is what those methods are for."""
    chosen = [typical for typical in TYPICAL if typical.plotted]
    return sorted(chosen, key=lambda typical: len(monops.explain(typical.problem).applicable()))


def runs(method: type[Algorithm], problems: list[Typical]) -> list[Run]:
    """The method on the first problems that its theorem covers."""
    found: list[Run] = []
    for typical in problems:
        if len(found) == SHOWN:
            break
        problem, algorithm = typical.problem.with_tolerance(FLOOR), method()
        try:
            terms = algorithm.match(problem)
        except monops.errors.MonopsError:
            continue
        residuals = _residuals(algorithm, terms, problem, typical.size)
        if residuals:
            found.append(Run(typical, terms, residuals))
    return found


def _residuals(algorithm: Algorithm, terms: Any, problem: Any, size: int) -> list[float]:
    """Norms of the certificate after each iteration from zero, until rounding decides."""
    shape = problem.input_shape or (size,)
    start = monops.Blocks([np.zeros(part) for part in shape]) if isinstance(shape[0], tuple) else np.zeros(shape)
    residuals: list[float] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        state = algorithm.init(terms, start)
        for _ in range(ITERATIONS):
            state = algorithm.step(terms, state)
            residual = float(monops.arrays.norm(algorithm.certificate(terms, state)))
            if not residual > FLOOR:
                break
            residuals.append(residual)
    return residuals


def plot(method: type[Algorithm], found: list[Run]) -> None:
    """The picture of a page: residuals, and for a linear rate the proven factor from the first residual on."""
    figure, axes = pyplot.subplots(figsize=(6.0, 3.2))
    for index, run in enumerate(found):
        steps = np.arange(1, len(run.residuals) + 1)
        axes.semilogy(steps, run.residuals, label=run.typical.title, color=f"C{index}", linewidth=1.4)
        factor = run.terms.guarantee.factor(run.terms.step_size)
        if factor is not None and 0 < factor < 1:
            line = run.residuals[0] * factor ** (steps - 1)
            kept = line > FLOOR
            label = f"proven: factor {factor:.3g}"
            axes.semilogy(steps[kept], line[kept], "--", label=label, color=f"C{index}", linewidth=1.0)
    axes.set(xlabel="iteration", ylabel="residual")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(FOLDER / "plots" / f"{method.__name__}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def page(method: type[Algorithm], found: list[Run], documented: set[str]) -> list[str]:
    """Reference page of one method."""
    module = sys.modules[method.__module__]
    lines = [f"# {method.__name__}", "", escape(headline(method)), ""]
    lines += [f"- **Cost** of an iteration: {escape(method.cost)}."]
    kind = "a fixed-point map z+ = Tz" if method.is_map else "not a fixed-point map: its step changes between iterations"
    lines += [f"- **Form**: {kind}."]
    hypotheses = section(method, "NotApplicableError")
    if hypotheses:
        lines += [f"- **Does not apply** {escape(hypotheses[0].lower() + hypotheses[1:])}"]
    if found:
        proven = found[0].terms.guarantee
        lines += [f"- **Steps**: `{proven.formula}` ({escape(found[0].typical.title)})."]
        lines += [f"- **Theorem**: {escape(proven.source)}."]
    lines += [*theorem_pages.back_links(method), ""]
    if found:
        plot(method, found)
        lines += [f"![residuals of {method.__name__} against iterations](plots/{method.__name__}.svg)", ""]
        lines += ["Residual (norm of the certificate) at the default step; dashed, where the theorem proves a linear rate, the"]
        lines += ["proven factor of the distance to the solution, drawn from the first residual.", ""]
    lines += ["```{eval-rst}", f".. automodule:: {module.__name__}", ""]
    lines += [f".. autoclass:: {module.__name__}.{method.__name__}", ""]
    functions = [(name, value) for name, value in vars(module).items() if inspect.isfunction(value) and name[0] != "_"]
    for name, function in functions:
        if function.__module__ == module.__name__ or name == "guarantee":
            target = f"{function.__module__}.{function.__qualname__}"
            again = ["   :no-index:"] if target in documented else []
            lines += [f".. autofunction:: {target}", *again, ""]
            documented.add(target)
    return [*lines, "```"]


def index(every: list[type[Algorithm]], found: dict[str, list[Run]]) -> list[str]:
    """The table of all methods."""
    lines = ["# Methods", ""]
    lines += [f"{len(every)} methods, each with its theorem. `monops.explain(problem)` holds all of them against a problem of"]
    lines += ["yours; [Which algorithm](which_algorithm.md) shows that for typical ones.", ""]
    for name in dict.fromkeys(family(method) for method in every):
        title = (sys.modules[f"monops.algorithms.{name}"].__doc__ or name).split("\n")[0].strip().rstrip(".")
        lines += [f"## {escape(title)}", "", "| method | does not apply | steps | theorem | cost |", "|---|---|---|---|---|"]
        for method in every:
            if family(method) == name:
                lines.append("| " + " | ".join(_cells(method, found[method.__name__])) + " |")
        lines.append("")
    lines += ["```{toctree}", ":hidden:", "", "which_algorithm", *[f"methods/{method.__name__}" for method in every], "```"]
    return lines


def _cells(method: type[Algorithm], found: list[Run]) -> Iterator[str]:
    yield f"[{method.__name__}](methods/{method.__name__}.md)<br>{escape(headline(method))}"
    yield escape(section(method, "NotApplicableError"))
    yield f"`{found[0].terms.guarantee.formula}`" if found else ""
    yield escape(found[0].terms.guarantee.source if found else section(method, "References"))
    yield escape(method.cost)


def which() -> list[str]:
    """What ``explain`` says of typical problems."""
    lines = ["# Which algorithm", ""]
    lines += ["What `solve` picks when it is given no method, what else applies, and why the others do not: `monops.explain`"]
    lines += ["on typical problems. The pick, in bold, has the least predicted effort among the methods whose theorem covers"]
    lines += ["the problem.", ""]
    for typical in TYPICAL:
        explanation = monops.explain(typical.problem)
        applicable = [entry for entry in explanation.assessments if entry.terms is not None]
        refused = [entry for entry in explanation.assessments if entry.terms is None]
        lines += [f"## {typical.title}", "", f"{typical.words[0].upper()}{typical.words[1:]}.", "", "```python"]
        lines += [f"problem = {typical.code}", "```", "", "```text", str(explanation.problem), "```", ""]
        lines += ["| method | proven steps | default | rate | theorem | cost |", "|---|---|---|---|---|---|"]
        for position, entry in enumerate(applicable):
            name = entry.algorithm.name
            proven, step = entry.terms.guarantee, entry.terms.step_size
            factor = proven.factor(step)
            rate = proven.rate if factor is None else f"{proven.rate} (factor {factor:.4g})"
            link = f"[{name}](methods/{name}.md)"
            texts = (proven.interval_text, f"{step:.4g}", rate, proven.source, entry.algorithm.cost)
            cells = tuple(map(escape, texts))
            lines.append("| " + " | ".join((f"**{link}**" if position == 0 and entry.effort < np.inf else link, *cells)) + " |")
        lines += ["", f"<details><summary>Why {len(refused)} others do not apply</summary>", ""]
        lines += [f"- {escape(entry.refusal)}" for entry in refused]
        lines += ["", "</details>", ""]
    return lines


def write(path: Path, lines: list[str]) -> None:
    """Write a page, unless it is already what it should be (Sphinx then does not read it again)."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(*_: Any) -> None:
    """All pages."""
    matplotlib.rcParams["svg.hashsalt"] = "monops"
    (FOLDER / "plots").mkdir(parents=True, exist_ok=True)
    every = sorted(methods(), key=lambda method: (family(method), method.__name__))
    problems = demanding()
    found = {method.__name__: runs(method, problems) for method in every}
    documented: set[str] = set()
    for method in every:
        write(FOLDER / f"{method.__name__}.md", page(method, found[method.__name__], documented))
    wanted = {method.__name__ for method in every}
    for old in [*FOLDER.glob("*.md"), *(FOLDER / "plots").glob("*.svg")]:
        if old.stem not in wanted:
            old.unlink()
    write(ROOT / "methods.md", index(every, found))
    write(ROOT / "which_algorithm.md", which())


if __name__ == "__main__":
    generate()

"""Writes the pages of the functions before Sphinx reads them: one table of all classes, one reference page a family.

Everything comes from the classes themselves: the sections of their docstrings, their constants on their first sample, and for
functions of one variable a small plot of f, its prox and its Moreau envelope.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from monops import functions
from monops.functions import Function
from monops.functions.separable import Separable

FOLDER = Path(__file__).parent / "functions"
SPAN = np.linspace(-3.0, 3.0, 601)


def classes() -> list[type[Function]]:
    """All public classes but the abstract one, in the order of their modules and files."""
    found = [getattr(functions, name) for name in functions.__all__]
    found = [cls for cls in found if isinstance(cls, type) and issubclass(cls, Function) and cls is not Function]
    return sorted(found, key=lambda cls: (cls.__module__, inspect.getsourcelines(cls)[1]))


def family(cls: type) -> str:
    """Folder (or file) of monops/functions that holds the class."""
    return cls.__module__.removeprefix("monops.functions.").split(".")[0]


def escape(text: str) -> str:
    """Plain text for reStructuredText."""
    return re.sub(r"([\\*`|_])", r"\\\1", " ".join(text.split()))


def section(cls: type, start: str, *ends: str) -> str:
    """What the notes of a docstring say between ``start`` and the first of ``ends``."""
    text = inspect.getdoc(cls) or ""
    match = re.search(re.escape(start) + r"(.*?)(?=" + "|".join(re.escape(end) for end in ends) + r"|\Z)", text, re.DOTALL)
    return escape(match.group(1).strip(" .\n")) if match else ""


def sources(cls: type) -> str:
    """The references of a class."""
    text = inspect.getdoc(cls) or ""
    match = re.search(r"References\n-+\n(.*?)(?=\n\n[A-Z][a-z]+\n-+|\Z)", text, re.DOTALL)
    return escape(match.group(1)) if match else ""


def known(f: Function) -> str:
    """mu, L and the Lipschitz constant of the value of an instance."""
    constants, parts = f.constants, []
    for symbol, value in (("mu", constants.strong_monotonicity), ("L", constants.lipschitz)):
        if value is not None:
            parts.append(f"{symbol} = {float(value):.3g}")
    if f.value_lipschitz is not None:
        parts.append(f"\\|f(x) - f(y)\\| <= {f.value_lipschitz.value:.3g} \\|x - y\\|")
    return ", ".join(parts) or ("none" if f.is_convex else "none: nonconvex")


def plot(cls: type[Function], f: Separable) -> str | None:
    """File name of a plot of f, prox and envelope with step 1, or None where data fix the number of entries."""
    data = [getattr(f, name) for name in vars(f) if name != "batch_ndim"]
    if any(getattr(value, "ndim", 0) for value in data):
        return None
    with np.errstate(all="ignore"):
        value, prox = f.entry_value(SPAN), f.prox(SPAN, 1.0)
        envelope = f.entry_value(prox) + 0.5 * (prox - SPAN) ** 2
    figure, axes = pyplot.subplots(figsize=(2.2, 1.5))
    axes.plot(SPAN, np.where(np.abs(value) < 20, value, np.nan), label="f", linewidth=1.4)
    axes.plot(SPAN, np.where(np.abs(envelope) < 20, envelope, np.nan), label="envelope", linewidth=1.0, linestyle="--")
    axes.plot(SPAN, prox, label="prox", linewidth=1.2)
    axes.set(xlim=(-3, 3), ylim=(-3, 4))
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=5, loc="upper left")
    name = f"{cls.__name__}.svg"
    figure.savefig(FOLDER / "plots" / name, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return name


def row(cls: type[Function]) -> str:
    """One row of the table."""
    f = cls.samples()[0].build(lambda values: np.asarray(values, dtype=float))
    picture = plot(cls, f) if isinstance(f, Separable) else None
    cells = [
        f":class:`~{cls.__module__}.{cls.__name__}`",
        escape((inspect.getdoc(cls) or "").split("\n\n")[0]),
        section(cls, "prox:", "Gradient ", "**Domain**"),
        section(cls, "**Domain**", "**Constants**"),
        f"{section(cls, '**Constants**', '**Cost**')} (here: {known(f)})",
        section(cls, "**Cost**", "**Derivative**"),
        sources(cls),
        f".. image:: plots/{picture}\n          :width: 200px" if picture else "",
    ]
    return "   * - " + "\n     - ".join(cell if not cell.startswith("..") else f"\n\n       {cell}" for cell in cells)


def write(name: str, lines: list[str]) -> None:
    """Write a page, unless it is already what it should be (Sphinx then does not read it again)."""
    text, path = "\n".join(lines) + "\n", FOLDER / name
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(*_: Any) -> None:
    """All pages."""
    (FOLDER / "plots").mkdir(parents=True, exist_ok=True)
    every = classes()
    families = sorted({family(cls) for cls in every})
    table = [
        "All functions",
        "=============",
        "",
        f"{len(every)} classes. The table is generated from them; constants in brackets are those of the first sample.",
        "Every row is tested: the inclusion, a slow reference minimiser, Moreau, Fenchel-Young, firm nonexpansiveness,",
        "the constants, derivatives in x, in the step and in the parameters, batches, and every array library.",
        "",
    ]
    for name in families:
        module = importlib.import_module(f"monops.functions.{name}")
        title = (module.__doc__ or name).strip().split("\n")[0].rstrip(".")
        table += [escape(title), "-" * (len(escape(title)) + 2), "", ".. list-table::", "   :header-rows: 1", ""]
        heads = ("function", "f", "prox", "domain", "constants", "cost", "source", "f, envelope, prox")
        table.append("   * - " + "\n     - ".join(heads))
        table += [row(cls) for cls in every if family(cls) == name] + [""]
        modules = sorted({cls.__module__ for cls in every if family(cls) == name})
        page = [escape(title), "=" * (len(escape(title)) + 2), ""]
        for module_name in modules:
            page += [f".. automodule:: {module_name}", "   :members:", ""]
        write(f"{name}.rst", page)
    write("table.rst", table)
    write("index.rst", ["Functions", "=========", "", ".. toctree::", "", "   table", *[f"   {name}" for name in families]])

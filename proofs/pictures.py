"""Pictures for the report and the documentation; matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from monops.algorithms.cocoercive.forward_backward import forward_contraction
from monops.algorithms.lipschitz import forward_backward_forward
from monops.algorithms.shared.reflected import cayley_contraction
from monops.algorithms.shared.two_operator_rates import cocoercive_rate
from monops.constants import Constants, resolvent
from proofs.scaled_relative_graph import scaled_relative_graph

MONOTONE = Constants(strong_monotonicity=0.0)


@dataclass(frozen=True)
class Picture:
    """A finished picture: its name, title and caption, and the bytes of a file of the type ``media``."""

    name: str
    title: str
    caption: str
    media: str
    data: bytes


@dataclass(frozen=True)
class OperatorClass:
    """A class of operators by its constants, with the step whose images are drawn."""

    title: str
    constants: Constants
    step: float


CLASSES = {
    "strongly-monotone-lipschitz": OperatorClass(
        "strongly monotone and Lipschitz", Constants(strong_monotonicity=0.7, lipschitz=1.5), 0.3
    ),
    "strongly-monotone-cocoercive": OperatorClass(
        "strongly monotone and cocoercive", Constants(strong_monotonicity=0.5, cocoercivity=0.6), 0.8
    ),
    "smooth-strongly-convex": OperatorClass(
        "gradient of a smooth strongly convex function",
        Constants(strong_monotonicity=0.4, lipschitz=2.0, cyclic=True),
        0.8,
    ),
    "strongly-monotone": OperatorClass("strongly monotone", Constants(strong_monotonicity=0.5), 1.0),
    "cocoercive": OperatorClass("cocoercive", Constants(cocoercivity=0.5, strong_monotonicity=0.0), 0.8),
}
GRAPHS = {
    "OP-01": "strongly-monotone",
    "OP-02": "strongly-monotone",
    "OP-08": "cocoercive",
    "OP-09": "strongly-monotone-lipschitz",
    "OP-10": "strongly-monotone-cocoercive",
    "OP-11": "smooth-strongly-convex",
    "OP-12": "strongly-monotone",
    "OP-13": "strongly-monotone-lipschitz",
    "OP-14": "strongly-monotone-cocoercive",
    "OP-15": "smooth-strongly-convex",
    "OP-16": "strongly-monotone",
    "OP-26": "strongly-monotone-lipschitz",
}
FAR = 1e4  # where unbounded regions are cut off


def boundary(constants: Constants) -> np.ndarray:
    """The closed boundary of the scaled relative graph of a class, with points on its straight left side too."""
    curve = scaled_relative_graph(constants, 301, reach=FAR)
    half = (len(curve) - 1) // 2
    top = curve[half - 1]
    side = top.real + 1j * np.tan(np.linspace(1, -1, 181) * np.arctan(top.imag))
    return np.concatenate([curve[:half], side, curve[half:]])


def claims(constants: Constants, step: float) -> tuple[float | None, ...]:
    """Factors of the resolvent, of I - step A and of the Cayley operator as monops declares them."""
    squares = (
        float(resolvent(constants, step).lipschitz) ** 2,
        forward_contraction(constants, step) if constants.cocoercivity is not None else None,
        cayley_contraction(constants, step),
    )
    return tuple(None if square is None else float(np.sqrt(float(square))) for square in squares)


def draw_graph(name: str) -> tuple[Any, str, str]:
    """The scaled relative graph of a class, of its resolvent, forward step and Cayley operator, and the declared factors."""
    kind = CLASSES[name]
    step, z = kind.step, boundary(kind.constants)
    J = 1 / (1 + step * z)
    panels = (("A", z), ("J", J), (f"I - {step:g} A", 1 - step * z), ("2J - I", 2 * J - 1))
    figure, axes = new_figure(1, 4, (11.0, 3.1))
    for axis, (title, image), factor in zip(axes, panels, (None, *claims(kind.constants, step)), strict=True):
        axis.fill(image.real, image.imag, alpha=0.3, color="C0")
        axis.plot(image.real, image.imag, color="C0", linewidth=1.4)
        axis.set_title(title, fontsize=10)
        axis.set_aspect("equal")
        axis.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        axis.axvline(0, color="0.7", linewidth=0.6, zorder=0)
        if title != "A":
            circle(axis, 1.0, "0.4", "-")
            if factor is not None and factor < 1:
                circle(axis, factor, "C3", "--")
                axis.set_title(f"{title}: factor {factor:.4g}", fontsize=10)
        extent = min(max(float(np.abs(image).max()), 1.0), 3.0) * 1.1
        axis.set(xlim=(-extent, extent), ylim=(-extent, extent))
    values = ", ".join(
        f"{symbol} = {float(value):g}"
        for symbol, name in (("mu", "strong_monotonicity"), ("beta", "cocoercivity"), ("L", "lipschitz"))
        if (value := getattr(kind.constants, name)) and kind.constants.reasons[name] == "given"
    )
    caption = (
        f"The pairs of the class ({kind.title}: {values}) as points of the complex plane, at the distance |u - v|/|x - y| "
        f"from 0 and at the angle between u - v and x - y; then those of its resolvent, forward step and Cayley operator, "
        f"step {step:g}. Grey: the unit circle. Dashed: the circle whose radius is the factor that monops declares; the "
        "region touches it where the factor is tight."
    )
    return figure, f"Scaled relative graph: {kind.title}", caption


def circle(axis: Any, radius: float, color: str, line: str) -> None:
    """A circle around 0."""
    turn = radius * np.exp(1j * np.linspace(0, 2 * np.pi, 361))
    axis.plot(turn.real, turn.imag, line, color=color, linewidth=1.1)


def draw_regimes() -> tuple[Any, str, str]:
    """Regimes and rate of Douglas-Rachford with a cocoercive and a strongly monotone operator, relaxation 1 and 1.5."""
    logarithms = np.linspace(-2, 2, 161)
    figure, axes = new_figure(1, 2, (9.0, 4.2))
    colors = ("#fbb4ae", "#b3cde3", "#ccebc5", "#decbe4", "#fed9a6")
    for axis, relaxation in zip(axes, (1.0, 1.5), strict=True):
        rates = [[cocoercive_rate(10**x, 10**y, 1.0, relaxation) for x in logarithms] for y in logarithms]
        regimes = np.array([[rate.regime for rate in line] for line in rates])
        factors = np.sqrt(np.maximum([[float(rate.square) for rate in line] for line in rates], 0.0))
        image = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors])[regimes - 1] / 255.0
        axis.imshow(image, origin="lower", extent=(-2, 2, -2, 2), interpolation="nearest", aspect="auto")
        lines = axis.contour(
            logarithms, logarithms, factors, levels=(0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95), colors="0.25", linewidths=0.8
        )
        axis.clabel(lines, fontsize=7)
        for regime in np.unique(regimes):
            rows, columns = np.nonzero(regimes == regime)
            if rows.size > 40:
                middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
                axis.text(
                    logarithms[columns[middle]], logarithms[rows[middle]], str(regime), fontsize=13, weight="bold", ha="center"
                )
        axis.set_xlabel("log10 of step mu")
        axis.set_title(f"relaxation {relaxation:g}", fontsize=10)
    axes[0].set_ylabel("log10 of beta/step")
    caption = (
        "A beta-cocoercive, B mu-strongly monotone: the five regimes of Theorem 4.1 of Ryu, Taylor, Bergeling and Giselsson "
        "(2020), with level lines of the tight contraction factor. In the regimes 1, 3 and 4 the factor does not "
        "depend on one of the constants, or on neither: there a formula with a wrong constant passes every test."
    )
    return figure, "Regimes of the Douglas-Rachford rate", caption


def draw_forward_backward_forward() -> tuple[Any, str, str]:
    """Closed-form factor of forward-backward-forward against the customary bound."""
    figure, axes = new_figure(1, 2, (9.0, 3.4))
    for index, mu in enumerate((0.05, 0.2, 0.6)):
        known = closed_form(mu)
        steps = np.linspace(0.005, 0.995, 199)
        axes[0].plot(steps, [known.factor(step) for step in steps], color=f"C{index}", label=f"closed form, mu = {mu:g}")
        axes[0].plot(steps, customary(mu, steps), "--", color=f"C{index}", linewidth=1.0)
        axes[0].plot([known.best_step], [known.factor(float(known.best_step))], "o", color=f"C{index}", markersize=5)
    axes[0].set(xlabel="step (L = 1)", ylabel="factor of the distance", ylim=(None, 1.003))
    axes[0].legend(fontsize=7)
    ratios = np.geomspace(1e-4, 0.9, 80)
    best = [1 - closed_form(mu).factor(closed_form(mu).best_step) for mu in ratios]
    usual = [1 - float(customary(mu, np.linspace(0.01, 0.99, 300)).min()) for mu in ratios]
    axes[1].loglog(1 / ratios, 1 / np.array(best), label="closed form, its best step")
    axes[1].loglog(1 / ratios, 1 / np.array(usual), "--", label="customary bound, its best step")
    axes[1].set(xlabel="L/mu", ylabel="iterations to gain a factor e, at most")
    axes[1].legend(fontsize=7)
    caption = (
        "rho = 1 - a mu (1 - aL)/(1 - aL + a mu), read from the guarantee of monops, against the customary bound "
        "sqrt(1 - min(1 - a^2 L^2, 2 a mu)/2), dashed; dots: the best step 1/(L + sqrt(mu L)). Both are valid bounds, "
        "neither is attained."
    )
    return figure, "Forward-backward-forward: closed form and customary bound", caption


def customary(mu: float, steps: np.ndarray) -> np.ndarray:
    """The customary factor for L = 1."""
    return np.sqrt(1 - np.minimum(1 - steps**2, 2 * steps * mu) / 2)


def closed_form(mu: float) -> Any:
    """What monops declares of forward-backward-forward for L = 1."""
    return forward_backward_forward.guarantee(MONOTONE, Constants(strong_monotonicity=mu, lipschitz=1.0))


DRAWINGS: dict[str, Callable[[], tuple[Any, str, str]]] = {
    **{f"graph-{name}": partial(draw_graph, name) for name in CLASSES},
    "regimes": draw_regimes,
    "forward-backward-forward": draw_forward_backward_forward,
}
NAMES = {
    **{f"graph-{name}": f"scaled relative graph, {kind.title}" for name, kind in CLASSES.items()},
    "regimes": "regimes of the Douglas-Rachford rate",
    "forward-backward-forward": "closed-form rate of forward-backward-forward",
}
OTHERS = {"AL-07": "regimes", "AL-11": "forward-backward-forward", "NN-05": "forward-backward-forward"}


def of_theorem(name: str) -> str | None:
    """Name of the picture that belongs to a theorem."""
    if name in GRAPHS:
        return f"graph-{GRAPHS[name]}"
    return OTHERS.get(name)


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure without a window, whatever the configuration of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="tight")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns)


@cache
def picture(name: str) -> Picture:
    """A picture by its name; ImportError without matplotlib."""
    figure, title, caption = DRAWINGS[name]()
    stream = io.BytesIO()
    if name == "regimes":  # an image of many points: as SVG it would be large
        figure.savefig(stream, format="png", dpi=120)
        return Picture(name, title, caption, "image/png", stream.getvalue())
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "monops"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Picture(name, title, caption, "image/svg+xml", stream.getvalue())

"""What a function claims beyond being an operator: its value, prox, gradient, conjugate and the derivative of its prox."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from monops.arrays import Array
from monops.doctor.arithmetic_laws import Evaluation, arithmetic_laws
from monops.doctor.law import Law, Raised, Skip, guarded
from monops.doctor.operator_laws import STEPS, derivative_laws, operator_laws
from monops.doctor.points import Supply
from monops.doctor.tools import isfinite
from monops.functions import Conjugate, Function

NO_VALUE = "its value has no closed form"


def function_laws(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    """Every law of a function."""
    if item.has_value:
        yield from guarded(_value_laws(item, supply, accuracy), "value")
    else:
        yield Skip("convex along segments", "", NO_VALUE)
    if item.has_prox:
        yield from guarded(_prox_laws(item, supply, accuracy), "prox")
    else:
        yield Skip("prox minimises", "", "it has no prox")
    yield from operator_laws(item, supply, accuracy)
    if item.has_prox and item.is_convex:
        yield from guarded(_dual_laws(item, supply, accuracy), "conjugate")
    if item.has_prox:
        yield from guarded(_derivative_laws(item, supply, accuracy), "derivative")
    if item.has_value:
        yield from guarded(_value_arithmetic(item, supply, accuracy), "arithmetic of the value")


def _value_arithmetic(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    evaluation = Evaluation("value", "item(x)", "item.batched(1)(rows)", same_shape=False, accuracy=accuracy)
    chosen = replace(supply, chosen=tuple(_feasible(item, supply)[: supply.count]))  # rows are compared inside the domain
    skipped = ("finite", "argument", "single precision near")  # infinite values are legitimate
    yield from (law for law in arithmetic_laws(item, chosen, evaluation) if not law.name.startswith(skipped))


def _feasible(item: Function, supply: Supply) -> list[Array]:
    """Points of finite value: random ones, and outputs of the prox."""
    points = list(supply.randoms)
    if item.has_prox:
        points += supply.kinks(item.prox) + [item.prox(x, 1.0) for x in supply.randoms]
    with np.errstate(all="ignore"):
        return [x for x in points if isfinite(x) and isfinite(item(x))]


def _value_laws(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    tight = 10 * accuracy + (1e-9 if supply.is_double else 1e-4)
    points = _feasible(item, supply)
    pairs = [*itertools.pairwise(points), *zip(points, points[2:], strict=False), *((x, 2.0 * x) for x in points)]
    if item.is_convex:
        mu = item.constants.strong_monotonicity or 0.0
        yield Law(
            "convex along segments",
            "f((1 - t)x + ty) <= (1 - t)f(x) + t f(y) - mu t(1 - t)/2 |x - y|^2 (definition; mu claimed)",
            let=("z = (1.0 - t) * x + t * y", "fx, fy, fz = float(item(x)), float(item(y)), float(item(z))"),
            left="fz",
            right="(1.0 - t) * fx + t * fy - 0.5 * mu * t * (1.0 - t) * norm(x - y)**2",
            scale="1.0 + abs(fx) + abs(fy) + abs(mu) * norm(x - y)**2",
            given="isfinite(fx, fy, fz)",
            trials=[{"x": x, "y": y, "t": t} for x, y in pairs for t in (0.5, 0.1)],
            tolerance=tight,
            constants={"mu": float(mu)},
        )
    else:
        yield Skip("convex along segments", "", "it says that it is nonconvex")
    known = item.value_lipschitz
    if known is None:
        yield Skip("Lipschitz constant of the value", "", "none is claimed")
    else:
        yield Law(
            "Lipschitz constant of the value",
            f"claimed: |f(x) - f(y)| <= G |x - y|, G {known.why}",
            let=("fx, fy = float(item(x)), float(item(y))",),
            left="abs(fx - fy)",
            right="G * norm(x - y)",
            scale="abs(fx) + abs(fy) + G * norm(x - y)",
            given="isfinite(fx, fy)",
            trials=[{"x": x, "y": y} for x, y in [*pairs, *supply.pairs, *supply.steepest_pairs(item, points)]],
            tolerance=max(tight, 1e-7),
            constants={"G": float(known.value)},
            claim=True,
        )
    if item.has_gradient:
        h = 1e-5 if supply.is_double else 1e-2
        tolerance = (1e-5 if supply.is_double else 2e-2) + 10 * accuracy / h
        yield Law(
            "gradient is the derivative of the value",
            "definition: the limit of differences, where they agree for two lengths",
            let=(
                "fine = (float(item(x + h * d)) - float(item(x - h * d))) / (2 * h)",
                "coarse = (float(item(x + 3 * h * d)) - float(item(x - 3 * h * d))) / (6 * h)",
                "slope = item.gradient(x)",
            ),
            left="abs(inner(slope, d) - fine)",
            scale="1.0 + norm(slope) * norm(d) + abs(fine) + abs(float(item(x)))",
            given=f"abs(fine - coarse) <= {tolerance} * (1.0 + abs(fine))",
            trials=[{"x": x, "d": supply.point(300 + index, 1.0)} for index, x in enumerate([*supply.randoms, supply.zero])],
            tolerance=tolerance,
            constants={"h": h},
        )


def _prox_laws(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    tight = 10 * accuracy + (1e-8 if supply.is_double else 1e-4)
    if item.is_indicator:
        yield Law(
            "projection: again, and for every step, the same",
            "the prox of an indicator is the projection on its set",
            let=("p = item.prox(x, 1.0)",),
            left="norm(item.prox(p, 1.0) - p) + norm(item.prox(x, 0.3) - p)",
            scale="1.0 + norm(x) + norm(p)",
            trials=[{"x": x} for x in supply.randoms],
            tolerance=100 * tight,
        )
    if not item.has_value:
        yield Skip("prox minimises", "", NO_VALUE)
        return
    others = _feasible(item, supply)
    x, step = supply.randoms, STEPS
    trials = [{"x": a, "q": q, "step": s} for index, a in enumerate(x[:3]) for s in step for q in others[index::2]]
    let = ("p = item.prox(x, step)", "near = p + t * (q - p)", "fp, fq = float(item(p)), float(item(near))")
    yield Law(
        "value finite at the prox",
        "a prox lies in the domain",
        left="float(not isfinite(float(item(item.prox(x, step)))))",
        trials=[{"x": a, "step": s} for a in x for s in step] if supply.is_double else [],
    )
    yield Law(
        "prox minimises",
        "definition: f(p) + |p - x|^2/(2 step) <= f(q) + |q - x|^2/(2 step)",
        let=let,
        left="fp + 0.5 / step * norm(p - x)**2",
        right="fq + 0.5 / step * norm(near - x)**2",
        scale="1.0 + abs(fp) + 0.5 / step * norm(p - x)**2 + norm(x)",
        given="isfinite(fp, fq)",
        trials=[{**trial, "t": t} for trial in trials for t in (1.0, 1e-2)],
        tolerance=tight,
    )
    if item.is_convex:
        mu = item.constants.strong_monotonicity or 0.0
        yield Law(
            "(x - prox)/step is a subgradient",
            "f(q) >= f(p) + <(x - p)/step, q - p> + mu/2 |q - p|^2 (Bauschke-Combettes 2017, Prop. 12.26; mu claimed)",
            let=(*let, "u = (x - p) * (1.0 / step)"),
            left="fp + inner(u, near - p) + 0.5 * mu * norm(near - p)**2",
            right="fq",
            scale="(1.0 + norm(u) + abs(fp)) * (1.0 + norm(near - p)) * max(1.0, 1.0 / step)",
            given="isfinite(fp, fq)",
            trials=[{**trial, "t": t} for trial in trials for t in (1.0, 1e-2)],
            tolerance=tight,
            constants={"mu": float(mu)},
        )


def _dual_laws(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    tight = 100 * accuracy + (1e-8 if supply.is_double else 1e-3)
    conjugate = item.conjugate()
    trials: list[dict[str, Any]] = [{"x": x, "step": step} for x in supply.randoms for step in STEPS]
    if isinstance(conjugate, Conjugate) or isinstance(item, Conjugate):
        yield Skip("Moreau's decomposition", "", "the conjugate is defined by it")
    else:
        yield Law(
            "Moreau's decomposition",
            "x = prox_{step f}(x) + step prox_{f*/step}(x/step) (Bauschke-Combettes 2017, Thm 14.3)",
            let=("p, dual = item.prox(x, step), item.conjugate().prox(x * (1.0 / step), 1.0 / step)",),
            left="norm(p + step * dual - x)",
            scale="1.0 + norm(x) + norm(p)",
            trials=trials,
            tolerance=10 * tight,
        )
    if not (item.has_value and conjugate.has_value):
        yield Skip("Fenchel-Young equality at the prox", "", "the value of the function or of its conjugate has no closed form")
        return
    let = ("p = item.prox(x, 1.0)", "u = x - p", "fp, dual = float(item(p)), float(item.conjugate()(u))")
    yield Law(
        "Fenchel-Young equality at the prox",
        "f(p) + f*(u) = <p, u> for u in df(p) (Bauschke-Combettes 2017, Prop. 16.10)",
        let=let,
        left="abs(fp + dual - inner(p, u))",
        scale="1.0 + abs(fp) + norm(p) * norm(u)",
        trials=trials[:: len(STEPS)],
        tolerance=tight,
    )
    points = _feasible(item, supply)
    yield Law(
        "Fenchel-Young inequality",
        "f(y) + f*(u) >= <y, u> (Bauschke-Combettes 2017, Prop. 13.15)",
        let=(*let, "fy = float(item(y))"),
        left="inner(y, u)",
        right="fy + dual",
        scale="1.0 + abs(fp) + abs(fy) + (norm(p) + norm(y)) * norm(u)",
        trials=[{"x": x, "y": y} for x, y in zip(supply.randoms * 3, points, strict=False)],
        tolerance=tight,
    )


def _derivative_laws(item: Function, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    yield from derivative_laws(item, supply, accuracy, "prox_derivative")
    h = max(1e-5 if supply.is_double else 1e-2, accuracy**0.5)
    tolerance = (1e-4 if supply.is_double else 5e-2) + 100 * accuracy / h
    yield Law(
        "derivative of the prox in the step",
        "-J (x - prox)/step, the resolvent identity differentiated; against differences, where one-sided ones agree",
        let=(
            "p, moved = item.prox(x, step), item.prox_jvp(x, step, dstep=1.0)",
            "forward = (item.prox(x, step + h) - p) * (1 / h)",
            "backward = (p - item.prox(x, step - h)) * (1 / h)",
        ),
        left="norm(moved - 0.5 * (forward + backward))",
        scale="1.0 + norm(x) + norm(forward)",
        given=f"norm(forward - backward) <= {tolerance} * (1.0 + norm(x))",
        trials=[{"x": x, "step": 0.9} for x in supply.randoms[:3]],
        tolerance=tolerance,
        constants={"h": h},
    )
    if not item.is_convex:
        return
    mu = item.constants.strong_monotonicity or 0.0
    yield Law(
        "derivative self-adjoint, within its bounds",
        "in [0, 1/(1 + step mu)]: a prox is the gradient of a convex function and (1 + step mu)-cocoercive (Moreau 1965)",
        let=("J = item.prox_derivative(x, step)", "Ja, Jb = J.apply(a), J.apply(b)"),
        left="max(abs(inner(Ja, b) - inner(a, Jb)) / norm(b), -inner(Ja, a) / norm(a), "
        "(inner(Ja, a) - norm(a)**2 / (1.0 + step * mu)) / norm(a))",
        scale="norm(a)",
        given="norm(a) > 0 and norm(b) > 0",
        trials=[
            {"x": x, "a": a, "b": supply.point(302, 1.0), "step": 0.8}
            for x in [*supply.randoms[:2], supply.zero, *supply.kinks(item.prox)[:2]]
            for a in [supply.point(301, 1.0), *supply.extreme_directions(item.prox_derivative(x, 0.8).apply, supply.zero)]
        ],
        tolerance=100 * accuracy + (1e-8 if supply.is_double else 1e-3),
        constants={"mu": float(mu)},
    )

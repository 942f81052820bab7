"""What holds of every map as arithmetic: library, dtype and shape kept, arguments unchanged, rows independent, finiteness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from monops import arrays
from monops.doctor.law import Law, Skip
from monops.doctor.points import Supply
from monops.doctor.tools import holds_callables, single


class Evaluation(NamedTuple):
    """One map that an object offers: code for its value at x, and for its values at the rows of a batch."""

    name: str
    code: str
    batch: str
    same_shape: bool = True  # whether the value has the shape of x
    finite: bool = False  # whether it is finite at huge and tiny points too
    accuracy: float = 0.0  # of the value, relative to 1 + |x|


def arithmetic_laws(item: Any, supply: Supply, evaluation: Evaluation) -> Iterator[Law | Skip]:
    """Every such law of one map."""
    name, code = evaluation.name, evaluation.code
    points = [{"x": x} for x in supply.randoms[:3]]
    yield Law(
        f"library, dtype{', shape' if evaluation.same_shape else ''} kept: {name}",
        "contract: what comes out is like what goes in",
        left=f"unlike({code}, x, {evaluation.same_shape})",
        trials=points[:1],
    )
    yield Law(
        f"argument unchanged: {name}",
        "contract: nothing is mutated",
        let=("before = 1.0 * x", code),
        left="norm(x - before)",
        trials=points[:2],
    )
    yield Law(
        f"same answer twice: {name}",
        "contract: deterministic",
        left=f"norm({code} - {code})",
        scale="1.0 + norm(x)",
        trials=points[:2],
        tolerance=10 * supply.epsilon,
    )
    finite = supply.structured if evaluation.finite else supply.structured[:-2]
    yield Law(
        f"finite: {name}",
        "contract: finite points have finite images" if evaluation.finite else "contract: finite at moderate points",
        left=f"float(not isfinite({code}))",
        trials=[{"x": x} for x in finite] + points,
    )
    if supply.rows:
        yield Law(
            f"rows of a batch independent: {name}",
            "contract: leading axes index independent rows",
            let=("rows = stack(x, y)", f"together = {evaluation.batch}"),
            left=f"norm(row(together, 0) - {code}) + norm(row(together, 1) - {code.replace('(x', '(y')})",
            scale=f"1.0 + norm(x) + norm(y) + norm({code})",
            trials=[{"x": x, "y": y} for x, y in supply.pairs[:1]],
            tolerance=10 * evaluation.accuracy + (1e-10 if supply.is_double else 1e-4),
        )
    else:
        yield Skip(f"rows of a batch independent: {name}", "", "rows=False: it takes single points only")
    yield from _single_precision(item, supply, evaluation)
    if arrays.library(supply.like) != "numpy":
        yield Law(
            f"same answer as on NumPy: {name}",
            "contract: the library does not change the answer",
            let=(f"here = {code}", "item, x = on_numpy(item), on_numpy(x)"),
            left=f"norm(on_numpy(here) - {code})",
            scale=f"1.0 + norm(x) + norm({code})",
            trials=points,
            tolerance=10 * evaluation.accuracy + (1e-10 if supply.is_double else 1e-3),
        )


def _single_precision(item: Any, supply: Supply, evaluation: Evaluation) -> Iterator[Law | Skip]:
    names = (f"single precision kept: {evaluation.name}", f"single precision near double: {evaluation.name}")
    reason = ""
    if not supply.is_double:
        reason = "the points are in single precision already"
    else:
        try:
            single(item)
        except Exception as error:  # data that single precision cannot hold, or a constructor of its own kind
            reason = f"its data do not convert to single precision: {type(error).__name__}: {error}"
        else:
            if holds_callables(item):
                reason = "it holds callables, whose data are not seen: pass like= an array of single precision"
    if reason:
        yield from (Skip(name, "", reason) for name in names)
        return
    points = [{"x": x} for x in supply.randoms[:2]]
    value = f"exact = {evaluation.code}"
    setup = ("item, x = single(item), single(x)", f"found = {evaluation.code}")
    yield Law(
        names[0],
        "contract: single precision in, single precision out",
        let=setup,
        left=f"unlike(found, x, {evaluation.same_shape})",
        trials=points[:1],
    )
    yield Law(
        names[1],
        "contract: the answer in single precision is near the one in double precision",
        let=(value, *setup),
        left="norm(on_numpy(found) - on_numpy(exact))",
        scale="1.0 + norm(x) + norm(exact)",
        trials=points,
        tolerance=3e-3 if evaluation.accuracy > 1e-10 else 5e-4,
    )

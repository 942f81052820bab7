"""What a monotone operator claims: its constants on pairs of points, and what makes a map its resolvent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from monops import checks
from monops.arrays import Array
from monops.doctor.arithmetic_laws import Evaluation, arithmetic_laws
from monops.doctor.law import Law, Raised, Skip, Trial, guarded
from monops.doctor.points import Supply
from monops.errors import MonopsError

STEPS = (1.0, 0.1, 10.0)
RESOLVENT_GRAPH = (
    "p, q = item.resolvent(x, step), item.resolvent(y, step)",
    "u, v = (x - p) * (1.0 / step), (y - q) * (1.0 / step)",
)
FORWARD_GRAPH = ("p, q, u, v = x, y, item.forward(x), item.forward(y)",)


def operator_laws(item: Any, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    """Every law of an operator, or of a function as the operator that its subdifferential is."""
    if item.has_forward:
        yield from guarded(graph_laws(item, supply, accuracy, "forward"), "constants")
        yield from guarded(structure_laws(item, supply), "structure")
    if item.has_resolvent:
        if not item.has_forward:
            yield from guarded(graph_laws(item, supply, accuracy, "resolvent"), "constants")
        yield from guarded(resolvent_laws(item, supply, accuracy), "resolvent")
    else:
        yield Skip("firmly nonexpansive", "", "it has no resolvent")
    if item.has_forward:
        code = "item.forward(x)"
        yield from arithmetic_laws(item, supply, Evaluation("forward", code, "item.batched(1).forward(rows)"))
    if item.has_resolvent:
        code = "item.resolvent(x, 1.0)"
        batch = "item.batched(1).resolvent(rows, 1.0)"
        yield from arithmetic_laws(item, supply, Evaluation("resolvent", code, batch, finite=True, accuracy=accuracy))


def graph_laws(item: Any, supply: Supply, accuracy: float, by: str) -> Iterator[Law | Skip | Raised]:
    """The claimed mu, L and beta on pairs (p, u), (q, v) of the graph, reached by forward values or by the resolvent."""
    known = item.constants
    tolerance = 1e-6 if supply.is_double else 1e-3
    trials = list(_pairs(item, supply, by))
    mu, lipschitz, beta = known.strong_monotonicity, known.lipschitz, known.cocoercivity
    # the graph is known up to rounding and the accuracy of the resolvent
    level = max(accuracy, 50 * supply.epsilon) / tolerance
    size = "norm(x) + norm(y) + norm(u) + norm(v)" if by == "forward" else "1.0 + norm(x) + norm(y)"
    noise = f"({level!r} * ({size}){'' if by == 'forward' else ' * max(1.0, 1.0 / step)'})"
    graph = FORWARD_GRAPH if by == "forward" else RESOLVENT_GRAPH
    let = (*graph, "distance, change = norm(p - q), norm(u - v)")
    shared: dict[str, Any] = {
        "trials": trials,
        "let": let,
        "given": "0 < norm(x - y) and isfinite(u) and isfinite(v)",
        "tolerance": tolerance,
        "claim": True,
    }
    name = "strong monotonicity mu" if mu else "monotone"
    if mu is None:
        yield Skip(name, "", "it is not known to be monotone: no mu is claimed")
    else:
        yield Law(
            name,
            f"claimed: <u - v, p - q> >= mu |p - q|^2, mu {known.reasons.get('strong_monotonicity', '')}",
            left="mu * distance**2",
            right="inner(u - v, p - q)",
            scale=f"distance * change + abs(mu) * distance**2 + {noise} * (distance + change + {noise})",
            constants={"mu": float(mu)},
            **shared,
        )
    if lipschitz is None or lipschitz == math.inf:
        yield Skip("Lipschitz constant L", "", "no L is claimed")
    else:
        yield Law(
            "Lipschitz constant L",
            f"claimed: |u - v| <= L |p - q|, L {known.reasons.get('lipschitz', '')}",
            left="change",
            right="L * distance",
            scale=f"change + L * distance + {noise} * (1.0 + L)",
            constants={"L": float(lipschitz)},
            **shared,
        )
    if beta is None or beta == math.inf or beta == 0:
        reason = "it is claimed to be constant: L = 0 says so" if beta == math.inf else "no beta is claimed"
        yield Skip("cocoercivity beta", "", reason)
    else:
        yield Law(
            "cocoercivity beta",
            f"claimed: <u - v, p - q> >= beta |u - v|^2, beta {known.reasons.get('cocoercivity', '')}",
            left="beta * change**2",
            right="inner(u - v, p - q)",
            scale=f"distance * change + beta * change**2 + {noise} * (1.0 + beta) * (distance + change + {noise})",
            constants={"beta": float(beta)},
            **shared,
        )


def _pairs(item: Any, supply: Supply, by: str) -> Iterator[Trial]:
    """Pairs for the constants; for the resolvent, the points at which it is evaluated."""
    beta = item.constants.cocoercivity
    starts = [supply.zero, supply.randoms[0], *_kinks(item, supply)[:1]]
    pairs = list(supply.pairs)
    for x in supply.randoms[:2]:
        try:
            pairs += [(pair.start, pair.stop) for pair in checks.growing_pairs(item, x)]
        except MonopsError:
            break
    if by == "forward":
        pairs += supply.extremal_pairs(item.forward, starts, beta)
        yield from ({"x": x, "y": y} for x, y in pairs)
        return
    for step in STEPS[:2]:
        yield from ({"x": x, "y": y, "step": step} for x, y in pairs)
    extremal = supply.extremal_pairs(lambda x: item.resolvent(x, 1.0), starts)
    yield from ({"x": x, "y": y, "step": 1.0} for x, y in extremal)


def _kinks(item: Any, supply: Supply) -> list[Array]:
    return supply.kinks(item.resolvent) if item.has_resolvent else []


def structure_laws(item: Any, supply: Supply) -> Iterator[Law | Skip | Raised]:
    """Affine, skew, cyclic: where claimed."""
    known = item.constants
    tight = 1e-9 if supply.is_double else 1e-3
    pairs = [{"x": x, "y": y} for x, y in supply.pairs]
    if known.affine:
        yield Law(
            "affine",
            "claimed: A(2x - y) = 2Ax - Ay",
            let=("u, v = item.forward(x), item.forward(y)",),
            left="norm(item.forward(2.0 * x - y) - (2.0 * u - v))",
            scale="norm(u) + norm(v)",
            trials=pairs,
            tolerance=tight,
            claim=True,
        )
    if known.skew:
        yield Law(
            "skew",
            "claimed: <Ax - Ay, x - y> = 0",
            let=("e, d = item.forward(x) - item.forward(y), x - y",),
            left="abs(inner(e, d))",
            scale="norm(e) * norm(d)",
            trials=pairs,
            tolerance=1e3 * tight,
            claim=True,
        )
    if known.cyclic and known.monotone:
        triples = [{"x": x, "y": y, "z": z} for (x, y), z in zip(supply.pairs, supply.randoms * 99, strict=False)]
        for x, y in itertools.permutations(supply.coordinates[:3], 2):  # a triangle with equal sides
            triples.append({"x": supply.zero, "y": x, "z": 0.5 * x + 0.75**0.5 * y})
        yield Law(
            "cyclically monotone",
            "claimed: a subdifferential; <Ax, x - y> + <Ay, y - z> + <Az, z - x> >= 0 (Rockafellar 1966)",
            let=("u, v, w = item.forward(x), item.forward(y), item.forward(z)",),
            left="inner(u, y - x) + inner(v, z - y) + inner(w, x - z)",
            scale="norm(u) * norm(x - y) + norm(v) * norm(y - z) + norm(w) * norm(z - x)",
            given="isfinite(u) and isfinite(v) and isfinite(w)",
            trials=triples,
            tolerance=tight,
            claim=True,
        )
        h = 1e-5 if supply.is_double else 1e-2
        tolerance = 1e-4 if supply.is_double else 5e-2
        yield Law(
            "derivative symmetric",
            "claimed: a subdifferential; the derivative of a gradient is self-adjoint. Where one-sided differences agree",
            let=(
                "u = item.forward(x)",
                "Dd, before_d = (item.forward(x + h * d) - u) * (1 / h), (u - item.forward(x - h * d)) * (1 / h)",
                "De, before_e = (item.forward(x + h * e) - u) * (1 / h), (u - item.forward(x - h * e)) * (1 / h)",
            ),
            left="abs(inner(Dd + before_d, e) - inner(De + before_e, d))",
            scale="norm(u) + (norm(Dd) + norm(before_d)) * norm(e) + (norm(De) + norm(before_e)) * norm(d)",
            given=f"norm(Dd - before_d) <= {tolerance} * norm(Dd) and norm(De - before_e) <= {tolerance} * norm(De)",
            trials=[{"x": x, "d": supply.point(300, 1.0), "e": supply.point(301, 1.0)} for x in supply.randoms],
            tolerance=2 * tolerance,
            constants={"h": h},
            claim=True,
        )


def resolvent_laws(item: Any, supply: Supply, accuracy: float) -> Iterator[Law | Skip | Raised]:
    """Firm nonexpansiveness, the resolvent identity, and the inclusion through the forward value."""
    known = item.constants
    tight = 10 * accuracy + (1e-9 if supply.is_double else 1e-4)
    mu = known.strong_monotonicity
    if mu is None:
        yield Skip("firmly nonexpansive", "", "it is not known to be monotone: no mu is claimed")
    else:
        extremal = supply.extremal_pairs(lambda x: item.resolvent(x, 1.0), [supply.randoms[0]])
        yield Law(
            "firmly nonexpansive",
            "(1 + step mu) |Jx - Jy|^2 <= <Jx - Jy, x - y> (Bauschke-Combettes 2017, Prop. 23.8 and 23.13)",
            let=("p, q = item.resolvent(x, step), item.resolvent(y, step)", "growth = 1.0 + step * mu"),
            left="growth * norm(p - q)**2",
            right="inner(p - q, x - y)",
            scale="norm(p - q) * (growth * norm(p - q) + norm(x - y)) + growth * (1.0 + norm(x) + norm(y))",
            given="growth > 0",
            trials=[
                *({"x": x, "y": y, "step": 1.0} for x, y in extremal),
                *({"x": x, "y": y, "step": step} for x, y in supply.pairs for step in STEPS),
            ],
            tolerance=tight,
            constants={"mu": float(mu)},
        )
        yield Law(
            "resolvent identity",
            "J_a x = J_b(b/a x + (1 - b/a) J_a x) (Bauschke-Combettes 2017, Prop. 23.31)",
            let=("p = item.resolvent(x, step)", "q = item.resolvent((other / step) * x + (1.0 - other / step) * p, other)"),
            left="norm(p - q)",
            scale="1.0 + norm(x) + norm(p)",
            given="1.0 + step * mu > 0 and 1.0 + other * mu > 0",
            trials=[{"x": x, "step": a, "other": b} for x in supply.randoms for a, b in ((1.0, 0.4), (0.4, 1.0), (2.0, 0.1))],
            tolerance=100 * tight,
            constants={"mu": float(mu)},
        )
    if item.has_forward:
        yield Law(
            "forward value in the resolvent",
            "definition: p + step A p = x for p = (I + step A)^-1 x",
            let=("p = item.resolvent(x, step)", "Ap = item.forward(p)"),
            left="norm(x - p - step * Ap)",
            scale="1.0 + norm(x) + norm(p) + step * norm(Ap)" + ("" if accuracy < 1e-10 else " * 100"),
            given="isfinite(Ap)",
            trials=[{"x": x, "step": step} for x in [*supply.randoms, supply.zero] for step in STEPS],
            tolerance=100 * tight,
        )
    else:
        yield Skip("forward value in the resolvent", "", "it has no forward value")


def derivative_laws(item: Any, supply: Supply, accuracy: float, derivative: str) -> Iterator[Law | Skip | Raised]:
    """The derivative of the resolvent in x against differences of the resolvent."""
    h = max(1e-5 if supply.is_double else 1e-2, accuracy**0.5)
    trials = [
        {"x": x, "d": supply.point(300 + index, 1.0), "step": step}
        for index, x in enumerate(supply.randoms[:3])
        for step in (1.0, 0.4, 2.5)
    ]
    tolerance = (1e-4 if supply.is_double else 5e-2) + 100 * accuracy / h
    yield Law(
        "derivative of the resolvent",
        "definition: the limit of differences, where one-sided ones agree",
        let=(
            f"p, J = item.resolvent(x, step), item.{derivative}(x, step)",
            "forward = (item.resolvent(x + h * d, step) - p) * (1 / h)",
            "backward = (p - item.resolvent(x - h * d, step)) * (1 / h)",
        ),
        left="norm(J.apply(d) - 0.5 * (forward + backward))",
        scale="norm(d) + norm(forward)",
        given=f"norm(forward - backward) <= {tolerance} * norm(d)",
        trials=trials,
        tolerance=tolerance,
        constants={"h": h},
    )

"""Errors met while the theorems were checked against other sources: what is said, what is right, and how it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proofs.theorem import Theorem

Seen = Literal["read", "measured", "read and measured"]


@dataclass(frozen=True)
class Erratum:
    """An error in a published source, a widely used program or our own notes; ``theorems`` are ids of the registry."""

    where: str
    said: str
    right: str
    seen: Seen
    theorems: tuple[str, ...] = ()


INTRODUCTION = (
    "Disagreements with other sources, kept because they are what a check is for. Most are harmless where they stand; each "
    "is stated so that it can be verified. If one of them is our error, the registry is the place where it would show."
)

ERRATA = (
    Erratum(
        "PEPit, example wc_douglas_rachford_splitting_2 (A beta-cocoercive, B mu-strongly monotone; stored copies of 2025)",
        "The reference formula of the example scales the constants to step 1 by mu := alpha mu and beta := alpha beta.",
        "alpha A is beta/alpha-cocoercive, so beta := beta/alpha is right. At (beta, mu, alpha, theta) = (0.3, 0.5, 2, 1) "
        "the semidefinite program of the same example gives 0.75614, its reference formula 0.41026, the formula with "
        "beta/alpha 0.75614. The default parameters hide it: the regime that is active there does not contain beta.",
        "read and measured",
        ("AL-07",),
    ),
    Erratum(
        "AutoLyap 0.2 with the Clarabel solver, bisection for a linear rate",
        "rho^2 = 0.8954086 for Douglas-Rachford with A strongly monotone and Lipschitz, (a, mu, L) = (0.6, 0.4, 3).",
        "The exact tight value is 0.8954176: the reported upper bound lies below the truth by 9e-6. Feasibility at the "
        "tolerance of a solver is not feasibility; every value of that kind measured here was slightly optimistic. Step back "
        "after the bisection and verify in exact arithmetic.",
        "measured",
        ("AL-06",),
    ),
    Erratum(
        "A public Lean 4 formalisation of fixed-point iterations (2026)",
        "Firm nonexpansiveness is defined with a strict inequality for all x and y.",
        "No map satisfies it (put x = y), so whatever assumes it holds vacuously. The definition is off the path of that "
        "repository's main theorem. Formal does not mean non-vacuous: here every hypothesis has a counterexample instead.",
        "read",
        ("OP-01", "AL-02"),
    ),
    Erratum(
        "Lecture slides on equilibrium networks (after Bibi, Ghanem, Koltun and Ranftl 2019)",
        "tanh is approximately the prox of log(1 + x^2).",
        "It is far from it: at x = 3 the two differ by 1.26, and the slope at 0 is 1/3 instead of 1. The function with "
        "tanh = prox_f is f(z) = z artanh z + log(1 - z^2)/2 - z^2/2 on (-1, 1).",
        "measured",
        ("NN-10",),
    ),
    Erratum(
        "Winston and Kolter (2020), backward splitting, in the copy that was read",
        "The resolvent of the backward pass is printed with denominators 1 + a(1 + D).",
        "The derivation, and the authors' own code, give 1 + aD; written without infinities it is J(x + ag)/(J + a(1 - J)).",
        "read and measured",
        ("NN-06",),
    ),
    Erratum(
        "The released code of monotone equilibrium networks, and several that follow it",
        "The activation itself is applied after a splitting step of any size a.",
        "A splitting with step a needs prox_{af}. The two agree for ReLU, whose f is an indicator, and for a = 1. With tanh "
        "and a = 1/2, 1/4, 1/8 the iteration converges, to a point whose residual in z = tanh(Wz + c) is 5, 11 and 18 "
        "percent.",
        "measured",
        ("NN-04",),
    ),
    Erratum(
        "Folklore on forward-reflected-backward and its special case without resolvent",
        "Trying a bilinear game without constraints shows how large the step may be.",
        "That instance converges up to 1/(sqrt(3) L); with a suitable second operator the method fails at 1/(2L) already. "
        "The easy instance is not the worst one.",
        "measured",
        ("AL-13",),
    ),
    Erratum(
        "Nair (2025), Softmax is 1/2-Lipschitz (arXiv 2510.23012), abstract",
        "In the norms with 1 < p < infinity the local Lipschitz constant of softmax stays strictly below 1/2; the supremum "
        "is reached only in the limit.",
        "With two states it is 1/2 at (1/2, 1/2): the Jacobian [[1/4, -1/4], [-1/4, 1/4]] has the norm 1/2. The sentence is "
        "true from three states on. The constant 1/2 itself is right, and is the one used here.",
        "read and measured",
        ("NN-03", "NN-12"),
    ),
    Erratum(
        "General-purpose semidefinite solvers of first order as judges of tightness",
        "A worst-case value computed to default accuracy decides whether a bound is tight.",
        "Measured errors of one such solver reach 4e-3, on both sides. An interior point solver gives seven to nine digits, "
        "also without a guaranteed side. What is called tight here is attained by an explicit instance.",
        "measured",
    ),
)

SIGN = ("erratum", "errata", "misprint", "contradicts", "wrong in")


def reported(theorems: tuple[Theorem, ...]) -> list[tuple[Theorem, str]]:
    """The sentences of the notes that report an erratum, with their theorems."""
    found = []
    for theorem in theorems:
        sentences = [part.strip() for part in theorem.note.replace("\n", " ").split(". ")]
        kept = [part.rstrip(".") + "." for part in sentences if any(sign in part.lower() for sign in SIGN)]
        if kept:
            found.append((theorem, " ".join(kept)))
    return found

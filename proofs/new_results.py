"""What the registry states that we did not find in print, each with its proof, its checks and how far the search went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Label = Literal["not found in print", "possibly in print", "known; the instance or the transfer is ours"]

SEARCHED = (
    "The search: stored public web pages (abstracts and first pages of articles, rarely whole texts), documentation and "
    "public source, in November 2026, with the hypotheses and the formulas as key words. Paywalled articles and the inside "
    "of most preprints were out of reach. 'Not found' therefore means what it says, and no more; treat priority as unknown."
)


@dataclass(frozen=True)
class NewResult:
    """A claimed result.

    ``checks`` are ids of theorems of the registry; ``literature`` says in words what was searched and found; ``label`` is the
    honest short form of it.
    """

    name: str
    title: str
    claim: str
    proof: str
    checks: tuple[str, ...]
    literature: str
    label: Label


RESULTS = (
    NewResult(
        "fbf",
        "A closed-form rate and the best step of forward-backward-forward",
        "B monotone and L-Lipschitz, A + B mu-strongly monotone, 0 < aL < 1: |x+ - x*| <= rho |x - x*| with "
        "rho = 1 - a mu (1 - aL)/(1 - aL + a mu). The best step is a = 1/(L + sqrt(mu L)), and there, with q = sqrt(mu/L), "
        "rho = (1 + 2q)/(1 + q)^2",
        "Shift the solution to 0, write d = x - y for the resolvent point y and w = x - x+. Two facts are used: "
        "<w, y> >= a mu |y|^2, strong monotonicity at y and 0, and |d - w|^2 <= (aL)^2 |d|^2, the Lipschitz constant at x "
        "and y. With multipliers 2 rho and rho/(aL), rho^2 |x|^2 - |x - w|^2 equals the two slacks plus a quadratic form in "
        "(x, d, w) whose determinant vanishes identically and whose principal minors are products of nonnegative factors for "
        "0 < aL < 1. So the bound holds for every mu, L and a in the interval. It is not tight: a worst-case program with "
        "the stronger necessary conditions for strongly monotone Lipschitz operators gives rho^2 = 0.7806 where the formula "
        "gives 0.7825 and the worst linear operators of the plane 0.7724, at (mu, L, a) = (0.3, 1, 0.5). The customary bound "
        "1 - min(1 - a^2 L^2, 2 a mu)/2 gives 0.85 there",
        ("AL-11", "NN-05"),
        "Read: abstracts and introductions of recent work on Tseng's method, its variants for pseudo-monotone and "
        "quasi-variational inequalities, forward-backward-half-forward splitting, and a 2024 survey of extragradient methods "
        "(Tran-Dinh and Nguyen-Trung, arXiv 2409.16859). Where they announce linear convergence they give no factor in "
        "closed form there; neither this factor nor the step 1/(L + sqrt(mu L)) was found. Worst-case programs in public "
        "code give the rate as a number, not as a formula",
        "not found in print",
    ),
    NewResult(
        "davis-yin",
        "A linear rate of Davis-Yin splitting",
        "A monotone, B monotone and L-Lipschitz, C mu-strongly monotone and beta-cocoercive, 0 < a < 2 beta: "
        "|z+ - w+|^2 <= (1 - a mu (2 - a/beta)/(1 + a^2 L^2)) |z - w|^2",
        "One identity of inner products, checked by computer algebra for all parameters. With delta = a mu (2 - a/beta)/"
        "(1 + a^2 L^2) the multipliers are 2a for monotonicity of A, 2a - a^2/beta for strong monotonicity of C, a^2/beta "
        "for its cocoercivity, 2a(1 - delta) for monotonicity of B and delta a^2 for its Lipschitz constant; what remains is "
        "the single square |x_B - a C x_B - x_A|^2. Attained for all constants by three linear operators in three "
        "dimensions (the note of AL-12 writes them down); operators of the plane attain it for mu beta = 1 only: at mu = "
        "1/2, beta = 1, L = 2, a = 1 they reach 0.8531 where the squared factor is 0.9",
        ("AL-12",),
        "Davis and Yin (2017) prove linear rates when one operator is strongly monotone and one Lipschitz. Lee, Yi and Ryu, "
        "Convergence analyses of Davis-Yin splitting via scaled relative graphs (arXiv 2207.04015, SIAM J. Optim. 2025), "
        "derive tighter factors for monotone inclusions; we read its abstract and introduction, not its theorems. A rate for "
        "the same hypotheses, perhaps this one, may well stand there; so may its counterpart for functions (Yi and Ryu, "
        "arXiv 2211.15604)",
        "possibly in print",
    ),
    NewResult(
        "frb",
        "The step bound 1/(2L) of forward-reflected-backward cannot be improved",
        "x+ = J_{aA}(x - 2a Bx + a Bx_-), B monotone and L-Lipschitz: for every a > 0 the linear problem A = i/(4 a^2 L), B "
        "= iL in the plane makes -2aLi an eigenvalue of the iteration. Its modulus is 2aL: at a = 1/(2L) the method stops "
        "converging",
        "Insert z = -2aLi into (1 + i/(4aL)) z^2 - (1 - 2iaL) z - iaL = 0, the characteristic equation. Without A the same "
        "test passes up to a = 1/(sqrt(3) L), so that the obvious instance would not show the bound",
        ("AL-13",),
        "Malitsky and Tam (2020) prove convergence for a < 1/(2L). Read: abstracts and introductions of later work, among "
        "them a 2025 generalisation (arXiv 2509.02005) with examples that compare rates. Runs of an automated Lyapunov "
        "analysis found no certificate beyond the bound. An explicit instance that attains it was not found",
        "not found in print",
    ),
    NewResult(
        "condat-vu",
        "A wider and sharp step region for Condat-Vu",
        "0 in Ax + Cx + K*y, Kx in B^-1 y, A and B monotone, C 1/L-cocoercive, steps t and s. With t < 2/L and ts|K|^2 <= "
        "(4/3)(1 - tL/2) a quadratic function V of the iterates never grows from the first step on, and in finite dimensions "
        "the iterates converge where the inequality is strict. The classical region is ts|K|^2 < 1 - tL/2, three quarters of "
        "it. It cannot be enlarged: with A = 0, B^-1 = 0, C = L, K = 1 the iteration has the eigenvalue -1 at equality",
        "V(x, y, d) = |x|^2/t - 2 <Kx, y> + |y|^2/s + ((7 + tL)/6)|dx|^2/t - 2 <K dx, dy> + (4/3)|dy|^2/s, with x, y "
        "relative to a solution and d the last change. V - V+ is six nonnegative multipliers times slacks of monotonicity "
        "and cocoercivity, two squares and one 4 x 4 form: an identity for all t, s, L, checked by computer algebra. The "
        "instance is a 2 x 2 matrix with determinant 1 - tL - ts and trace 2 - tL - 2ts, and 1 + trace + determinant "
        "vanishes at the bound. L = 0 is Chambolle-Pock, K = 0 is forward-backward",
        ("AL-16", "AL-15"),
        "Searched: larger steps for Condat-Vu and for primal-dual three-operator methods, for functions and for operators. "
        "Li and Yan, On the improved conditions for some primal-dual algorithms (abstract read), enlarge the steps of an "
        "asymmetric forward-backward-adjoint method and of Chambolle-Pock for functions; an abstract of 2026 (arXiv "
        "2606.21482) shows that t < 2/L and ts|K|^2 < 4/3 separately do not suffice, which the bound explains. The region "
        "itself was not found; the inside of these papers was not read",
        "not found in print",
    ),
    NewResult(
        "chambolle-pock",
        "4/3 and 4/(1 + 2 theta) in Chambolle-Pock: operators instead of functions, and a 2 x 2 instance",
        "A, B monotone, ts|K|^2 <= 4/3: the function V of the Condat-Vu result with L = 0 never grows from the first step on. "
        "With f = 0, g* = 0, K = 1 and extrapolation theta > 1/2 the iteration is a 2 x 2 matrix whose spectral radius "
        "crosses 1 exactly at ts = 4/(1 + 2 theta)",
        "The first part is the case L = 0 above. The matrix is [[1, -t], [s, 1 - (1 + theta) ts]], with determinant 1 - "
        "theta ts and trace 2 - (1 + theta) ts. At ts = 4/(1 + 2 theta) the condition 1 + trace + determinant = 0 holds: -1 "
        "is an eigenvalue; beyond, it lies outside the unit circle",
        ("AL-15",),
        "For functions the interval theta > 1/2, ts |K|^2 < 4/(1 + 2 theta) is a theorem of Banert, Upadhyaya and Giselsson "
        "(2023); as we recall, they also show that it cannot be enlarged, and the case 4/3 is in Li and Yan and in He, Ma, "
        "Xu and Yuan. We read the abstract of Upadhyaya (2026, arXiv 2604.06423), which extends it to theta in (0, 1]. So "
        "the bound and its tightness are known for functions; a statement for monotone operators was not found",
        "known; the instance or the transfer is ours",
    ),
    NewResult(
        "p-matrix",
        "Which ReLU equilibrium networks have exactly one equilibrium",
        "z = max(Wz + c, 0) has exactly one solution for every c if and only if I - W is a P-matrix: all its principal "
        "minors are positive. The sufficient conditions in use are strictly nested: sym(I - W) > 0 (monotone networks), then "
        "Lambda (I - W) + (I - W)' Lambda > 0 for a diagonal Lambda > 0, then P. The same three suffice for every "
        "elementwise nondecreasing 1-Lipschitz activation",
        "z = max(Wz + c, 0) is the linear complementarity problem z >= 0, w = (I - W)z - c >= 0, z'w = 0, whose unique "
        "solvability for every c is the P property (Samelson, Thrall and Wesler 1958). For other activations: det(I - DW) is "
        "affine in each slope, positive at the vertices of [0, 1]^n, hence positive on the cube. So solutions differ for no "
        "c, and as the inverses are bounded on the compact cube the map z - sigma(Wz + c) is injective and proper, hence "
        "onto. Strictness by integer matrices: [[1, -3], [0, 1]], and the circulant [[1, 0, 3], [3, 1, 0], [0, 3, 1]], whose "
        "three minors are 1, 1, 28 while averaging over cyclic shifts shows that no Lambda exists. For a matrix that is not P "
        "two equilibria are constructed from a sign-reversing vector",
        ("NN-02",),
        "The matrix theory is classical: positive diagonal solutions of Lyapunov's equation and P-matrices are nested "
        "(Barker, Berman and Plemmons 1978, recalled), and Sandberg and Willson (1969, recalled) characterise unique "
        "solvability of F(x) + Ax = b for increasing F. In neuroscience the same networks are called linear-threshold "
        "networks, and there the equivalence is in print: Nozari and Cortes, Hierarchical selective recruitment in "
        "linear-threshold brain networks I (arXiv 1809.01674; abstract read, theorem recalled: a unique equilibrium for "
        "every input if and only if I - W is P). Forti and Tesi (1995, abstract read) use the diagonal condition for "
        "nondecreasing activations; Retnaraj and others (2026, arXiv 2604.16710, abstract read) for linear-threshold "
        "networks. Revay, Wang and Manchester (2020) brought it to equilibrium networks; El Ghaoui and others (Implicit deep "
        "learning) use a Perron-Frobenius condition. What we did not find is the whole ladder in the literature on "
        "equilibrium networks, with strict witnesses and a constructive failure",
        "known; the instance or the transfer is ours",
    ),
    NewResult(
        "activation-margin",
        "A uniqueness condition that uses the slope of the activation",
        "sigma elementwise with slopes in [0, S]: z = sigma(Wz + c) has exactly one solution for every c if sym(W) < (1/S) "
        "I. So sym(W) < 4I suffices for the logistic function, and sym(W) < 2I for softmax, instead of sym(W) < I",
        "sigma(S^-1 .) is nondecreasing and 1-Lipschitz, hence a prox (elementwise), so the problem is monotone with W "
        "replaced by S W. Softmax is the gradient of a convex function and 1/2-Lipschitz, hence 2-cocoercive by "
        "Baillon-Haddad. Sharp: a logistic unit with weight 3.9 has one equilibrium for every bias, with 4.1 it has several "
        "for a suitable bias; two-state softmax turns at weight 2",
        ("NN-03", "NN-12"),
        "The idea is old in absolute stability and in recurrent networks (conditions on sym(W) and the largest slope; we "
        "recall Matsuoka 1992 and Hirsch 1989, not read again; a 2023 article on contractivity with symmetric weights, arXiv "
        "2302.13452, was met in the search, abstract only). That softmax is 1/2-Lipschitz is in Nair (2025, arXiv "
        "2510.23012). For equilibrium networks in the sense of Winston and Kolter the condition is stated with slope 1; the "
        "sharper form was not found there (searched: well-posedness of equilibrium networks with the slope of the "
        "activation, sigmoid, softmax)",
        "known; the instance or the transfer is ours",
    ),
    NewResult(
        "one-step-gradient",
        "The one-step gradient of a monotone ReLU network is a descent direction",
        "u = (I - J W')^{-1} J g is the gradient in the injection c, J the 0-1 diagonal of active units, sym(I - W) >= m I. "
        "The one-step gradient J g satisfies <J g, u> >= m |u|^2, for every monotone W, contraction or not",
        "u lies in the range of J and J = J^2, so <J g, u> = <g, u>; and g = (I - W')u + (J^{-1} - I)u in the sense of the "
        "backward splitting, whose second term has a nonnegative product with u. One sample only; over several samples the "
        "gradient in W is a sum of products u z', for which the claim does not follow, and for smooth activations it fails",
        ("NN-15",),
        "Fung, Heaton, Li, McKenzie, Osher and Yin (2022, arXiv 2103.12803) prove descent for networks that are "
        "contractions, with a condition on the Jacobian in the parameters; summaries of later work ask for contraction too. "
        "The inequality for monotone ReLU networks was not found (searched: Jacobian-free backpropagation, descent "
        "direction, monotone operator)",
        "not found in print",
    ),
)

"""Plain-text mathematics, as theorems write it, set for a page: signs, Greek letters, subscripts and superscripts."""

from __future__ import annotations

import html
import re

GREEK = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η", "theta": "θ", "kappa": "κ"},
    **{"lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ"},
    **{
        "omega": "ω",
        "Gamma": "Γ",
        "Delta": "Δ",
        "Theta": "Θ",
        "Lambda": "Λ",
        "Phi": "Φ",
        "Psi": "Ψ",
        "Sigma": "Σ",
        "Omega": "Ω",
    },
}
SIGNS = (
    ("&lt;=&gt;", "⟺"),
    ("=&gt;", "⟹"),
    ("&lt;=", "≤"),
    ("&gt;=", "≥"),
    ("-&gt;", "→"),
    ("!=", "≠"),
    (" - ", " − "),
    ("+-", "±"),
)
RULES = (
    (r"(?<![A-Za-z])sqrt(?:\((\w+)\)| (\w+)\b|(?![A-Za-z]))", r"√\1\2"),
    (r"&lt;([^&;<>]*(?:\([^()]*\)[^&;<>]*)*,[^&;<>]*)&gt;", r"⟨\1⟩"),
    (r"\^\{([^{}]*)\}", r"<sup>\1</sup>"),
    (r"\^\(([^()]*)\)", r"<sup>\1</sup>"),
    (r"\^(-?\d+|-?[A-Za-z](?![A-Za-z])|[*+])", r"<sup>\1</sup>"),
    (r"(?<![a-z])([A-Za-zα-ωΓ-Ω]|prox|max|min|sum)_\{([^{}]*)\}", r"\1<sub>\2</sub>"),
    (r"(?<![a-z])([A-Za-zα-ωΓ-Ω]|prox|sum)_([A-Za-zα-ω0-9*]{1,3}|[-+])(?![A-Za-z0-9_])", r"\1<sub>\2</sub>"),
    (r"\)_([A-Za-z0-9])(?![A-Za-z0-9_])", r")<sub>\1</sub>"),
)


def typeset(text: str) -> str:
    """HTML of a line of plain-text mathematics.

    Examples
    --------
    >>> typeset("|J_aA x|^2 <= <x, y>/(1 + 2 mu)")
    '|J<sub>aA</sub> x|<sup>2</sup> ≤ ⟨x, y⟩/(1 + 2 μ)'
    """
    out = html.escape(text, quote=False)
    for word, letter in GREEK.items():
        out = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", letter, out)
    for plain, sign in SIGNS:
        out = out.replace(plain, sign)
    for pattern, replacement in RULES:
        out = re.sub(pattern, replacement, out)
    return out


def markdown(text: str) -> str:
    """The same inside Markdown, where asterisks, bars and brackets of the mathematics must stay what they are."""
    return re.sub(r"[\\*`|_\[\]$~]", lambda found: f"&#{ord(found.group())};", typeset(" ".join(text.split())))

"""Writes the pages of the theorems before Sphinx reads them: an index, a page a theorem, new results, errata.

Everything comes from the registry of ``proofs``; the counterexamples and the wrong claims are run, so that a page shows ratios.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "theorems"
sys.path.insert(0, str(FOLDER.parent.parent))  # the registry is not installed with the library

from monops.algorithms import Algorithm, methods
from proofs.errata import ERRATA, INTRODUCTION, reported
from proofs.evidence import CERTIFIED, SEMIDEFINITE, SYMBOLIC
from proofs.html import STANDINGS
from proofs.new_results import RESULTS, SEARCHED
from proofs.pictures import of_theorem, picture
from proofs.registry import FAMILIES, THEOREMS
from proofs.report import proof_cases
from proofs.theorem import Theorem
from proofs.typeset import markdown

TITLES = {"OP": "Operators", "AL": "Algorithms", "NN": "Equilibrium networks"}
RELIES: dict[str, tuple[str, ...]] = {
    "OP-01": ("ProximalPoint", "DouglasRachford"),
    "OP-02": ("ProximalPoint", "ForwardBackward"),
    "OP-08": ("ForwardBackward", "ForwardStep"),
    "OP-09": ("ForwardStep", "ForwardBackward"),
    "OP-10": ("ForwardStep", "ForwardBackward"),
    "OP-11": ("ForwardStep", "ForwardBackward"),
    "OP-12": ("PeacemanRachford", "DouglasRachford"),
    "OP-13": ("PeacemanRachford", "DouglasRachford"),
    "OP-14": ("PeacemanRachford", "DouglasRachford"),
    "OP-15": ("PeacemanRachford", "DouglasRachford"),
    "OP-16": ("PeacemanRachford", "DouglasRachford"),
    "OP-22": ("ForwardBackward",),
    "OP-23": ("ForwardBackward", "DouglasRachford"),
}
"""Methods whose declared step or rate rests on a theorem about operators, which does not run them."""

INTRODUCTORY = """# Theorems made executable

{count} theorems, each held against the public functions of monops: random and extremal instances respect the claim, an instance
with a hypothesis dropped breaks it, and a slightly wrong claim is caught. `./run proofs` runs them all and writes
`out/proofs.html`, with the status of each; `proofs.check("OP-13", operator=A)` holds a theorem against an operator of yours.

A page does not establish more than it says. The solver behind a worst-case program is not trusted; an exact certificate is
verified in fractions by `proofs/verify.py`; proofs for all parameters are checked by computer algebra; the library, in
floating point, is tested, not proved. See also what we [did not find in print](new_results.md) and the
[errata we met](errata.md).
"""


def names_run(theorem: Theorem) -> set[str]:
    """All parts of the dotted names that the checks of a theorem run."""
    return {part for name in theorem.executes for part in name.split(".")}


def methods_of(theorem: Theorem) -> list[type[Algorithm]]:
    """The methods that the checks of a theorem run, by class or by module, and those that rest on it."""
    parts, resting = names_run(theorem), RELIES.get(theorem.id, ())
    return [
        method
        for method in sorted(methods(), key=lambda method: method.__name__)
        if method.__name__ in parts or method.__module__.split(".")[-1] in parts or method.__name__ in resting
    ]


def theorems_of(method: type[Algorithm]) -> list[Theorem]:
    """The theorems that run a method, or on which it rests."""
    return [theorem for theorem in THEOREMS if method in methods_of(theorem)]


def back_links(method: type[Algorithm]) -> list[str]:
    """Lines of a method's page that link to its theorems; none where there is no theorem."""
    links = [f"  - [{theorem.id}](../theorems/{theorem.id}.md): {markdown(theorem.title)}" for theorem in theorems_of(method)]
    return ["- **Executable theorems**:", *links] if links else []


def page(theorem: Theorem) -> Iterator[str]:
    """Reference page of a theorem."""
    yield from (f"# {theorem.id}: {markdown(theorem.title)}", "", f"> {markdown(theorem.statement)}", "")
    yield from ("## Hypotheses", "", "Without one of them the claim fails; ratios are observed to claimed.", "")
    for hypothesis in theorem.hypotheses:
        yield f"- {markdown(hypothesis)}"
        for example in theorem.counterexamples:
            if example.dropped == hypothesis:
                yield f"  - fails for {markdown(example.instance)} (ratio {float(example.ratio()):.4g})"
    yield from ("", "## Evidence", "")
    if theorem.extremal is not None:
        bound = "attained" if theorem.slack == 1 else "valid, not attained"
        yield f"- The bound is {bound}: the extremal instance has ratio {float(theorem.extremal()):.6g}."
    if theorem.id in SYMBOLIC:
        yield "- Verified by computer algebra for all parameters:"
        yield from (f"  - {markdown(case)}." for case in proof_cases(theorem.id))
    if theorem.id in SEMIDEFINITE:
        yield "- The worst case over the class, a semidefinite program, is compared with it at random parameters."
    if CERTIFIED.get(theorem.id, 0):
        yield f"- Exact rational certificates: {CERTIFIED[theorem.id]} parameter points."
    caught = "; ".join(f"{markdown(m.description)} (ratio {float(m.ratio()):.4g})" for m in theorem.mutants)
    yield from (f"- Wrong claims that are caught: {caught}.", "")
    if theorem.note:
        yield from (markdown(theorem.note), "")
    yield from drawn(theorem)
    yield from ("## Source", "", f"{markdown(theorem.source)} ({STANDINGS[theorem.standing]}).", "")
    yield from (f"Runs {', '.join(f'`{name}`' for name in theorem.executes)}.", "")
    links = [f"[{method.__name__}](../methods/{method.__name__}.md)" for method in methods_of(theorem)]
    yield f"Methods: {', '.join(links)}." if links else ""


def drawn(theorem: Theorem) -> list[str]:
    """The picture of a theorem, if it has one."""
    name = of_theorem(theorem.id)
    if name is None:
        return []
    shown = picture(name)
    file = f"{name}.{'png' if shown.media == 'image/png' else 'svg'}"
    path = FOLDER / "plots" / file
    if not path.exists() or path.read_bytes() != shown.data:
        path.write_bytes(shown.data)
    return [f"![{shown.title}](plots/{file})", "", f"**{shown.title}.** {markdown(shown.caption)}", ""]


def index() -> Iterator[str]:
    """All theorems, one table a family."""
    yield INTRODUCTORY.format(count=len(THEOREMS))
    for family in FAMILIES:
        found = [theorem for theorem in THEOREMS if theorem.id.startswith(family)]
        if found:
            yield from (f"## {TITLES[family]}", "", "| id | theorem | statement | source |", "|---|---|---|---|")
        for theorem in found:
            unbroken = theorem.id.replace("-", "&#8209;")
            cells = (f"[{unbroken}]({theorem.id}.md)", theorem.title, theorem.statement, theorem.source)
            yield f"| {cells[0]} | " + " | ".join(markdown(cell) for cell in cells[1:]) + " |"
        yield ""
    yield from ("```{toctree}", ":hidden:", "", "new_results", "errata", *(theorem.id for theorem in THEOREMS), "```")


def linked(ids: tuple[str, ...]) -> str:
    """Ids as links where the registry has them."""
    known = {theorem.id for theorem in THEOREMS}
    return ", ".join(f"[{name}]({name}.md)" if name in known else name for name in ids)


def new_results() -> Iterator[str]:
    """The results that we did not find in print."""
    yield from ("# New results, honestly labelled", "", markdown(SEARCHED), "")
    for result in RESULTS:
        yield from (f"## {markdown(result.title)}", "", f"*{result.label}*", "", f"> {markdown(result.claim)}.", "")
        yield from (f"**Proof.** {markdown(result.proof)}.", "", f"**Literature.** {markdown(result.literature)}.", "")
        yield from (f"Checked by {linked(result.checks)}.", "")


def errata() -> Iterator[str]:
    """Errors met in other sources."""
    yield from ("# Errata we met", "", markdown(INTRODUCTION), "")
    for item in ERRATA:
        yield from (f"## {markdown(item.where)}", "", f"*Said:* {markdown(item.said)}", "")
        yield from (f"*Right:* {markdown(item.right)}", "", f"{item.seen.capitalize()}. {linked(item.theorems)}", "")
    notes = reported(THEOREMS)
    if notes:
        yield from ("## From the notes of the theorems", "")
    for theorem, text in notes:
        yield f"- {linked((theorem.id,))}: {markdown(text)}"


def write(path: Path, lines: Iterator[str]) -> None:
    """Write a page, unless it is already what it should be (Sphinx then does not read it again)."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(*_: Any) -> None:
    """All pages; those of theorems that are gone are removed."""
    (FOLDER / "plots").mkdir(parents=True, exist_ok=True)
    pages = {"index": index(), "new_results": new_results(), "errata": errata()}
    pages |= {theorem.id: page(theorem) for theorem in THEOREMS}
    for name, lines in pages.items():
        write(FOLDER / f"{name}.md", lines)
    for old in FOLDER.glob("*.md"):
        if old.stem not in pages:
            old.unlink()


if __name__ == "__main__":
    generate()

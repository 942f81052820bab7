"""The report of a run as one self-contained page: what was checked, what a column means, every theorem, the errata."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from pathlib import Path

from proofs.check import ROUNDING, Row
from proofs.errata import ERRATA, INTRODUCTION, reported
from proofs.evidence import SYMBOLIC
from proofs.new_results import RESULTS, SEARCHED
from proofs.pictures import NAMES, Picture, of_theorem, picture
from proofs.registry import THEOREMS
from proofs.report import HEADINGS, cells, proof_cases, summary
from proofs.theorem import Counterexample, Mutant, Theorem
from proofs.typeset import typeset

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #187a3c; --bad: #c22; }
@media (prefers-color-scheme: dark) { :root { --good: #5c9; --bad: #f66; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { margin: 2.2rem 0 .4rem; } h3 a { opacity: .6; font-weight: 400; text-decoration: none; }
table { border-collapse: collapse; font-size: .82rem; } thead th { position: sticky; top: 0; background: Canvas; }
td:first-child { white-space: nowrap; } .wide td { white-space: normal; }
th, td { padding: .25rem .55rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; } #table { font-size: .78rem; } #table td:nth-child(2) { min-width: 13rem; }
.broad { width: min(95vw, 84rem); margin-left: calc(50% - min(47.5vw, 42rem)); }
.small { font-size: .85rem; opacity: .8; }
.statement { background: var(--soft); border-left: 3px solid #48c; padding: .6rem .9rem; border-radius: 4px; }
.failed, .failed a { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
dt { font-weight: 600; margin-top: .5rem; } dd { margin-left: 1.2rem; } ul { margin-top: .2rem; }
figure { margin: 1rem 0; } img { max-width: 100%; background: white; border-radius: 6px; } figcaption { font-size: .85rem; }
code { font-size: .85em; overflow-wrap: anywhere; }
.label { white-space: nowrap; font-size: .8rem; border: 1px solid; border-radius: 9px; padding: 0 .5rem; }
"""

STANDINGS = {
    "read": "the source was read for this entry",
    "recalled": "quoted from memory: its numbering may be off",
    "derived": "derived for this project",
}

COLUMNS = (
    (
        "sampled",
        "no random instance broke the claim; the worst ratio of observed to claimed is shown. Many of the instances are "
        "extremal members of their class, because generic ones almost never come near a bound.",
    ),
    (
        "tight",
        "an explicit instance attains the bound: 'exact' to the last digit (many of these instances are computed in "
        "fractions), else to the deviation shown. Where a bound is valid but not attained, the best ratio known is shown "
        "instead; 'no bound' marks identities and existence.",
    ),
    (
        "counterexamples",
        "with one hypothesis dropped and the others kept, an instance breaks the claim. So no hypothesis is idle "
        "and the statement is not vacuous.",
    ),
    ("mutants", "a slightly wrong claim (a factor 0.999, constants exchanged) is caught. So the check would notice an error."),
    (
        "SDP agrees to",
        "the worst case over the class, computed as a semidefinite program at random parameters, agrees with the claim "
        "of the library to the relative difference shown. The solver is not trusted: this is evidence, not proof.",
    ),
    (
        "certificates",
        "number of parameter points with an exact rational certificate: multipliers and a positive semidefinite matrix, "
        "verified in fractions. A proof of the bound at those points.",
    ),
    ("functions run", "how many public functions of the library the checks call; the names are with the theorem."),
    (
        "symbolic",
        "multipliers were found with which the claim minus its hypotheses is a positive semidefinite form, and the identity, "
        "the signs of the multipliers and those of the form were verified by computer algebra for all parameters at once: a "
        "proof, if the computer algebra is right. Where only an identity was verified, the section of the theorem says so.",
    ),
)


def paragraphs(*texts: str) -> str:
    """Texts as paragraphs, set as mathematics."""
    return "".join(f"<p>{typeset(text)}</p>" for text in texts)


def introduction(rows: Sequence[Row], seed: int, deep: bool) -> str:
    """What was run, what each column establishes and what is not established."""
    columns = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in COLUMNS)
    return (
        f"<p class='{'good' if all(row.ok for row in rows) else 'failed'}'>{summary(rows)}.</p>"
        "<p>Theorems of monotone operator theory, of splitting algorithms and of equilibrium networks, each held against the "
        "public functions of the library <code>monops</code>. Wherever the library declares a constant, a step interval or a "
        "rate, the claim that is tested is that declaration, not a second copy of the formula. "
        f"Seed {seed}{', deep run' if deep else ''}; the same seed gives the same numbers.</p>"
        f"<h2 id='columns'>What a column establishes</h2><dl>{columns}</dl>"
        "<h2 id='limits'>What is not established</h2><ul>"
        "<li><b>Trust.</b> An exact certificate is verified by <code>proofs/verify.py</code> in fractions, standard library "
        "only; it, the list of inequalities of the classes and the definition of the iteration are what a reader must trust. "
        "The solver that found the certificate need not be trusted. For the symbolic column the computer algebra system is "
        "trusted too.</li><li><b>Floating point.</b> The functions of the library are tested in floating point, not proved: "
        "that a sample held says nothing about all inputs.</li>"
        "<li><b>Infinite dimension and maximality.</b> Instances are finite-dimensional. Identities in inner products hold "
        "in every Hilbert space, but the maximality of sums, weak convergence and the like are not touched.</li>"
        "<li><b>Tightness</b> is claimed only where an explicit instance attains the bound.</li>"
        "<li><b>Sources.</b> 'Read' means that the text of the source was looked up for the entry; 'recalled' that it is "
        "quoted from memory; 'derived' that we know no source.</li></ul>"
    )


def table(rows: Sequence[Row]) -> str:
    """The status ladder, one row a theorem, with links to their sections."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in (*HEADINGS, "functions run"))
    body = "".join(table_row(row) for row in rows)
    return f"<div class='scroll broad'><table id='table'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def table_row(row: Row) -> str:
    """One theorem; red where something is not as it must be."""
    texts = [html.escape(text) for text in cells(row)]
    texts[0] = f"<a href='#{html.escape(row.id)}'>{texts[0]}</a>"
    marked = [
        f"<td class='failed'>{text}</td>" if bad(row, name) else f"<td>{text}</td>"
        for name, text in zip(HEADINGS, texts, strict=True)
    ]
    names = html.escape(", ".join(row.executes))
    kind = "" if row.ok else " class='failed'"
    return f"<tr{kind}>{''.join(marked)}<td title='{names}'>{len(row.executes)}</td></tr>"


def bad(row: Row, heading: str) -> bool:
    """Whether a cell must be red."""
    return {
        "ok": not row.ok,
        "sampled: worst ratio": not row.worst_ratio <= 1 + ROUNDING,
        "counterexamples": row.counterexamples[0] < max(row.counterexamples[1], 1),
        "mutants": row.mutants[0] < max(row.mutants[1], 1),
        "symbolic": row.symbolic is False,
    }.get(heading, False)


def measured(ratio: Callable[[], float]) -> str:
    """The ratio of an instance that must break the claim."""
    value = float(ratio())
    if not value > 1 + ROUNDING:
        return f"<span class='failed'>ratio {value:.6g}: does not break the claim</span>"
    return f"<span class='small'>ratio {value:.5g}</span>"


def dropped(entry: Theorem, hypothesis: str) -> str:
    """A hypothesis with the instances that show that it is needed."""
    examples: list[Counterexample] = [example for example in entry.counterexamples if example.dropped == hypothesis]
    if not examples:
        return f"<li class='failed'>{typeset(hypothesis)}: vacuity unchecked, no counterexample</li>"
    items = "".join(f"<li>{typeset(example.instance)} {measured(example.ratio)}</li>" for example in examples)
    return f"<li>{typeset(hypothesis)}<br><span class='small'>without it the claim fails for</span><ul>{items}</ul></li>"


def theorem_section(entry: Theorem, row: Row) -> str:
    """Statement, hypotheses, mutants, source and note of a theorem."""
    failures = "".join(f"<p class='failed'>FAILED: {html.escape(sentence)}</p>" for sentence in row.failures)
    mutants: Sequence[Mutant] = entry.mutants
    killed = "".join(f"<li>{typeset(mutant.description)} {measured(mutant.ratio)}</li>" for mutant in mutants)
    status = "".join(f"<td>{html.escape(text)}</td>" for text in cells(row)[2:])
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in HEADINGS[2:])
    names = ", ".join(f"<code>{html.escape(name)}</code>" for name in entry.executes)
    note = f"<p>{typeset(entry.note)}</p>" if entry.note else ""
    if entry.id in SYMBOLIC:
        cases = "".join(f"<li>{typeset(case)}.</li>" for case in proof_cases(entry.id))
        note = (
            f"<details><summary>Proof for all parameters, checked by computer algebra</summary><ul>{cases}</ul></details>{note}"
        )
    name = of_theorem(entry.id)
    seen = f"<p class='small'><a href='#picture-{name}'>Picture: {NAMES[name]}</a></p>" if name else ""
    return (
        f"<section id='{entry.id}'><h3>{entry.id} {typeset(entry.title)} <a href='#table' title='to the "
        f"table'>&uarr;</a></h3>{failures}<p class='statement'>{typeset(entry.statement)}</p>"
        f"<div class='scroll'><table><tr>{heads}</tr><tr>{status}</tr></table></div>"
        f"<p>Hypotheses</p><ul>{''.join(dropped(entry, hypothesis) for hypothesis in entry.hypotheses)}</ul>"
        f"<p>Wrong claims that are caught</p><ul>{killed}</ul>{note}{seen}"
        f"<p class='small'>Source: {typeset(entry.source)} ({STANDINGS[entry.standing]}). Runs {names}.</p></section>"
    )


def figure(shown: Picture) -> str:
    """A picture embedded in the page."""
    encoded = base64.b64encode(shown.data).decode()
    caption = typeset(shown.caption)
    return (
        f"<figure id='picture-{shown.name}'><img src='data:{shown.media};base64,{encoded}' alt='{html.escape(shown.title)}'>"
        f"<figcaption><b>{html.escape(shown.title)}.</b> {caption}</figcaption></figure>"
    )


def pictures(ids: Sequence[str]) -> str:
    """The pictures of these theorems, or the sentence that says what they need."""
    wanted = {of_theorem(name) for name in ids}
    try:
        drawn = [picture(name) for name in NAMES if name in wanted]
    except ImportError as missing:
        return f"<p>The pictures need {html.escape(str(missing.name))}: pip install 'monops[plot]'.</p>"
    return "".join(figure(shown) for shown in drawn) or "<p>None of the theorems of this run has one.</p>"


def links(ids: Sequence[str], present: set[str]) -> str:
    """Ids, linked where the page holds them."""
    return ", ".join(f"<a href='#{name}'>{name}</a>" if name in present else name for name in ids)


def new_results(present: set[str]) -> str:
    """The results that we did not find in print, honestly labelled."""
    parts = [f"<p>{html.escape(SEARCHED)}</p>"]
    for result in RESULTS:
        parts.append(
            f"<section id='new-{result.name}'><h3>{typeset(result.title)} <span class='label'>{result.label}</span></h3>"
            f"<p class='statement'>{typeset(result.claim)}.</p><p><b>Proof.</b> {typeset(result.proof)}.</p>"
            f"<p><b>Literature.</b> {typeset(result.literature)}.</p>"
            f"<p class='small'>Checked by {links(result.checks, present)}.</p></section>"
        )
    return "".join(parts)


def errata(present: set[str]) -> str:
    """Errors met in other sources and in our own notes."""
    heads = "<tr><th>where</th><th>said</th><th>right</th><th>seen</th><th>theorems</th></tr>"
    body = "".join(
        f"<tr><td>{typeset(item.where)}</td><td>{typeset(item.said)}</td><td>{typeset(item.right)}</td><td>{item.seen}</td>"
        f"<td>{links(item.theorems, present)}</td></tr>"
        for item in ERRATA
    )
    notes = "".join(f"<li>{links((entry.id,), present)}: {typeset(text)}</li>" for entry, text in reported(THEOREMS))
    more = f"<p>From the notes of the theorems:</p><ul>{notes}</ul>" if notes else ""
    return f"<p>{html.escape(INTRODUCTION)}</p><div class='scroll'><table class='wide'>{heads}{body}</table></div>{more}"


def page(rows: Sequence[Row], *, seed: int = 0, deep: bool = False) -> str:
    """The whole page."""
    known, present = {entry.id: entry for entry in THEOREMS}, {row.id for row in rows}
    sections = "".join(theorem_section(known[row.id], row) for row in rows)
    contents = " &middot; ".join(
        f"<a href='#{anchor}'>{title}</a>"
        for anchor, title in (
            ("columns", "columns"),
            ("limits", "limits"),
            ("status", "table"),
            ("pictures", "pictures"),
            ("theorems", "theorems"),
            ("new", "new results"),
            ("errata", "errata"),
        )
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Theorems made executable</title><style>{STYLE}</style></head><body><h1>Theorems made executable</h1>"
        f"<p class='small'>{contents}</p>{introduction(rows, seed, deep)}<h2 id='status'>Status</h2>{table(rows)}"
        f"<h2 id='pictures'>Pictures</h2>{pictures([row.id for row in rows])}<h2 id='theorems'>The theorems</h2>{sections}"
        f"<h2 id='new'>New results, honestly labelled</h2>{new_results(present)}"
        f"<h2 id='errata'>Errata we met</h2>{errata(present)}</body></html>"
    )


def write(folder: Path, rows: Sequence[Row], *, seed: int = 0, deep: bool = False) -> Path:
    """Write ``proofs.html`` into the folder, which is created; the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "proofs.html"
    path.write_text(page(rows, seed=seed, deep=deep), encoding="utf-8")
    return path

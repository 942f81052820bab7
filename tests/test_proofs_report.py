"""The report and the pages of the theorems: complete, honest about failures, linked; bad flags are answered by sentences."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from monops.algorithms import methods
from proofs import __main__ as command
from proofs import html as report
from proofs import pictures
from proofs.check import Row, run
from proofs.errata import ERRATA, reported
from proofs.evidence import SEMIDEFINITE
from proofs.new_results import RESULTS
from proofs.registry import THEOREMS
from proofs.report import HEADINGS, cells, deepened, summary, tightness
from proofs.typeset import markdown, typeset

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))

OP09, OP13 = (next(entry for entry in THEOREMS if entry.id == name) for name in ("OP-09", "OP-13"))
GOOD = run(OP13, samples=1)


def row_of(theorem) -> Row:
    """A row as a run would give it, without running the theorem."""
    counts = (len(theorem.counterexamples),) * 2, (len(theorem.mutants),) * 2
    return dataclasses.replace(
        GOOD, id=theorem.id, title=theorem.title, counterexamples=counts[0], mutants=counts[1], executes=theorem.executes
    )


@pytest.fixture
def unmeasured(monkeypatch):
    """Pages without running counterexamples and pictures."""
    monkeypatch.setattr(report, "measured", lambda ratio: "ratio")
    monkeypatch.setattr(report, "picture", lambda name: pictures.Picture(name, name, "caption", "image/png", b"png"))


class Balanced(HTMLParser):
    """Every element is closed in order; ids are unique; links into the page have targets."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: set[str] = set()

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.targets |= {known["href"][1:]} if known.get("href", "").startswith("#") else set()
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_every_theorem_with_its_hypotheses_and_mutants_and_is_self_contained(unmeasured) -> None:
    page = report.page([row_of(theorem) for theorem in THEOREMS])
    for theorem in THEOREMS:
        assert f"<section id='{theorem.id}'>" in page
        assert typeset(theorem.statement) in page
        for text in (*theorem.hypotheses, *(example.instance for example in theorem.counterexamples)):
            assert typeset(text) in page
        assert all(typeset(mutant.description) in page for mutant in theorem.mutants)
    assert all(typeset(item.right) in page for item in ERRATA)
    assert all(typeset(result.claim) in page for result in RESULTS)
    assert not re.search(r"(?:src|href)='(?!#|data:)", page)
    checked = Balanced()
    checked.feed(page)
    assert not checked.open
    assert len(set(checked.ids)) == len(checked.ids)
    assert checked.targets <= set(checked.ids)


def test_the_ratios_of_counterexamples_and_mutants_are_measured() -> None:
    section = report.theorem_section(OP13, GOOD)
    assert section.count("<span class='small'>ratio ") == len(OP13.counterexamples) + len(OP13.mutants)
    assert "does not break the claim" in report.measured(lambda: 1.0)
    assert "does not break the claim" in report.measured(lambda: float("nan"))


def test_what_is_not_as_it_must_be_is_red_and_said() -> None:
    failing = dataclasses.replace(GOOD, worst_ratio=1.25, mutants=(1, 2), failures=("a sample has ratio 1.25",))
    line = report.table_row(failing)
    assert line.startswith("<tr class='failed'>")
    assert "<td class='failed'>1: 1.25</td>" in line
    assert "<td class='failed'>1/2</td>" in line
    assert "FAILED: a sample has ratio 1.25" in report.theorem_section(OP13, failing)
    assert "0 of 1 theorems" in summary([failing])
    vacuous = dataclasses.replace(GOOD, counterexamples=(0, 0), failures=("vacuity unchecked",))
    assert "<td class='failed'>vacuity unchecked</td>" in report.table_row(vacuous)
    assert "vacuity unchecked" in report.dropped(dataclasses.replace(OP13, counterexamples=()), OP13.hypotheses[0])
    assert report.table_row(GOOD).startswith("<tr><td>")
    assert "failed" not in report.table_row(GOOD)


def test_cells_and_tightness() -> None:
    assert len(cells(GOOD)) == len(HEADINGS)
    assert tightness(GOOD) == "exact"
    assert tightness(dataclasses.replace(GOOD, attained=1 - 2e-12)) == "to 2e-12"
    assert tightness(dataclasses.replace(GOOD, attained=None)) == "no bound"


def test_slack_is_shown(monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["proofs.check"], "THEOREMS", (dataclasses.replace(OP13, slack=0.7),))
    assert tightness(dataclasses.replace(GOOD, attained=0.78)) == "reaches 0.78"


def test_a_deep_run_solves_further_programs(monkeypatch) -> None:
    monkeypatch.setitem(SEMIDEFINITE, "OP-13", lambda generator: 1e-8)
    assert deepened(GOOD, 5, 0).semidefinite == 1e-8
    monkeypatch.setitem(SEMIDEFINITE, "OP-13", lambda generator: 1e-3)
    found = deepened(GOOD, 5, 0)
    assert not found.ok
    assert "further points" in found.failures[0]
    monkeypatch.delitem(SEMIDEFINITE, "OP-13")
    assert deepened(GOOD, 5, 0) is GOOD


def test_without_matplotlib_the_page_says_what_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    pictures.picture.cache_clear()
    assert "pip install 'monops[plot]'" in report.pictures(["OP-13"])
    assert "None of the theorems" in report.pictures(["OP-99"])


def test_every_picture_belongs_to_a_name_and_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    assert set(pictures.NAMES) == set(pictures.DRAWINGS)
    for name in ("graph-cocoercive", "forward-backward-forward"):
        assert len(pictures.picture(name).data) > 5000
    assert all(pictures.of_theorem(name) in pictures.NAMES for name in (*pictures.GRAPHS, *pictures.OTHERS))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--only", "OP-99"], "no theorem OP-99; there are OP-"),
        (["--examples", "0"], "--examples is 0; it must be at least 1"),
        (["--seed", "-1"], "--seed is -1; it must not be negative"),
        (["--out", __file__], "cannot be made a folder"),
        (["--json", "/no/such/folder/rows.json"], "a file in a folder that exists is needed"),
    ],
)
def test_bad_flags_say_why(flags, sentence, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(flags)
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err


def test_list_prints_every_theorem_and_runs_none(capsys) -> None:
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [theorem.id for theorem in THEOREMS]


def test_defaults_of_a_deep_run() -> None:
    options, chosen = command.arguments(["--deep", "--only", "op-13", "OP-13"])
    assert options.examples == command.DEEP_EXAMPLES
    assert [theorem.id for theorem in chosen] == ["OP-13"]
    assert command.arguments(["--deep", "--examples", "7"])[0].examples == 7


def test_a_run_writes_the_page_and_the_rows(tmp_path, capsys, unmeasured) -> None:
    flags = ["--only", "OP-09", "--examples", "2", "--out", str(tmp_path / "new"), "--json", str(tmp_path / "rows.json")]
    assert command.main(flags) == 0
    assert str(tmp_path / "new" / "proofs.html") in capsys.readouterr().out.replace("\n", "")
    assert "<section id='OP-09'>" in (tmp_path / "new" / "proofs.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "rows.json").read_text())[0]["id"] == "OP-09"


def test_a_failing_theorem_gives_status_1(tmp_path, capsys, monkeypatch, unmeasured) -> None:
    broken = dataclasses.replace(OP09, sample=lambda generator: 1.5)
    monkeypatch.setattr(command, "THEOREMS", (broken,))
    assert command.main(["--examples", "1", "--out", str(tmp_path)]) == 1
    assert "not as it must be: OP-09" in capsys.readouterr().out
    assert "FAILED: a sample has ratio 1.5" in (tmp_path / "proofs.html").read_text(encoding="utf-8")


def test_errata_of_notes_are_found() -> None:
    noted = dataclasses.replace(OP13, note="Tight. Erratum: the source prints 5 for 4. Nothing more.")
    assert reported((noted, OP09)) == [(noted, "Erratum: the source prints 5 for 4.")]


@pytest.mark.parametrize(
    ("plain", "page"),
    [
        ("|J_aA x|^2 <= <x, y>", "|J<sub>aA</sub> x|<sup>2</sup> ≤ ⟨x, y⟩"),
        ("step^2L^2", "step<sup>2</sup>L<sup>2</sup>"),
        ("A mu-strongly monotone <=> A^-1 mu-cocoercive", "A μ-strongly monotone ⟺ A<sup>-1</sup> μ-cocoercive"),
        ("x_{k+1} = step_size", "x<sub>k+1</sub> = step_size"),
        ("sigma(z) = prox_{a f}(z)", "σ(z) = prox<sub>a f</sub>(z)"),
        ("a < b & <script>", "a &lt; b &amp; &lt;script&gt;"),
    ],
)
def test_typesetting(plain, page) -> None:
    assert typeset(plain) == page


def test_markdown_keeps_the_signs_of_mathematics() -> None:
    assert markdown("|x*| [a_very_b]") == "&#124;x&#42;&#124; &#91;a&#95;very&#95;b&#93;"


def test_the_documentation_has_a_page_for_every_theorem_and_links_both_ways(tmp_path, monkeypatch) -> None:
    import theorem_pages

    monkeypatch.setattr(theorem_pages, "FOLDER", tmp_path)
    monkeypatch.setattr(theorem_pages, "picture", lambda name: pictures.Picture(name, name, "caption", "image/png", b"png"))
    monkeypatch.setattr(theorem_pages, "THEOREMS", (OP09, OP13))
    (tmp_path / "OP-99.md").write_text("gone")
    theorem_pages.generate()
    assert {path.name for path in tmp_path.glob("*.md")} == {"OP-09.md", "OP-13.md", "index.md", "errata.md", "new_results.md"}
    text = (tmp_path / "OP-13.md").read_text(encoding="utf-8")
    assert markdown(OP13.statement) in text
    assert all(f"fails for {markdown(example.instance)}" in text for example in OP13.counterexamples)
    assert "[DouglasRachford](../methods/DouglasRachford.md)" in text
    assert (tmp_path / "plots" / "graph-strongly-monotone-lipschitz.png").read_bytes() == b"png"
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "[OP&#8209;09](OP-09.md)" in index
    named = {method.__name__: method for method in methods()}
    assert "../theorems/OP-13.md" in theorem_pages.back_links(named["DouglasRachford"])[1]
    assert "../theorems/OP-09.md" in theorem_pages.back_links(named["ForwardBackward"])[1]
    assert theorem_pages.back_links(named["SAGA"]) == []


def test_the_mapping_of_the_documentation_names_methods_that_exist() -> None:
    import theorem_pages

    named = {method.__name__ for method in methods()}
    assert {name for names in theorem_pages.RELIES.values() for name in names} <= named

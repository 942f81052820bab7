"""The committed certificates verify with nothing but Python, and say what monops claims; the programs agree with the claims."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy

from monops.errors import ConstantError
from proofs import verify
from proofs.evidence import CERTIFIED, SYMBOLIC
from proofs.pep.dual import worst_case
from proofs.pep.exact import certify, certify_above
from proofs.pep.numbers import Floats, Fractions
from proofs.pep.statements import CLAIMS, MONOTONE, Statement
from proofs.symbolic import PROOFS
from proofs.symbolic.proof import Proof, nonnegative

FILES = sorted(verify.CERTIFICATES.glob("*.json"))
COMMITTED = [entry for file in FILES for entry in json.loads(file.read_text())]
POINTS = 25
every_claim = pytest.mark.parametrize("theorem", list(CLAIMS))


def run_verifier(*files: Path) -> subprocess.CompletedProcess[str]:
    """The verifier without site packages, environment, or the folder of this repository on the path."""
    command = [sys.executable, "-I", "-S", verify.__file__, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def sealed(entry: dict, **changes: object) -> dict:
    """The certificate with changes and a digest that fits: what a forger would write."""
    changed = {**entry, **changes}
    return {**changed, "digest": verify.digest(changed)}


def statement_of(entry: dict) -> Statement:
    """What a certificate is about, in fractions."""

    def number(value: object) -> object:
        return tuple(map(Fraction, value)) if isinstance(value, list) else Fraction(value)

    parameters = {name: number(value) for name, value in entry["parameters"].items()}
    classes = {o: {name: number(value) for name, value in known.items()} for o, known in entry["classes"].items()}
    return Statement(entry["iteration"], parameters, classes)


# ---- the verifier --------------------------------------------------------------------------------------------


def test_committed_certificates_hold_without_any_package() -> None:
    done = run_verifier()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(COMMITTED)} certificates hold, 0 fail" in done.stdout
    assert len(Path(verify.__file__).read_text().splitlines()) <= 150


def test_there_are_hundreds_of_distinct_certificates() -> None:
    assert len({(entry["theorem"], str(statement_of(entry))) for entry in COMMITTED}) == len(COMMITTED) > 300
    assert set(CERTIFIED) == set(CLAIMS)
    assert sum(CERTIFIED.values()) == len(COMMITTED)


@pytest.mark.parametrize("seed", range(12))
def test_one_altered_digit_fails(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    text = generator.choice(FILES).read_text()
    place = generator.choice([i for i, letter in enumerate(text) if letter.isdigit()])
    other = generator.choice([digit for digit in "0123456789" if digit != text[place]])
    copy = tmp_path / "copy.json"
    copy.write_text(text[:place] + other + text[place + 1 :])
    with pytest.raises((ValueError, KeyError, ZeroDivisionError)):
        [verify.verify(entry) for entry in json.loads(copy.read_text())]
    if seed == 0:
        done = run_verifier(copy)
        assert done.returncode == 1
        assert "FAILS" in done.stdout


def test_every_certificate_fails_with_a_smaller_factor_even_with_a_fitting_digest() -> None:
    for entry in COMMITTED:
        if entry["epsilon"] == "0":
            smaller = str(Fraction(entry["claim"]) * (1 - Fraction(1, 10**9)))
            with pytest.raises(ValueError, match="semidefinite"):
                verify.verify(sealed(entry, claim=smaller, tau=smaller))
        with pytest.raises(ValueError, match="claim"):
            verify.verify(sealed(entry, tau=str(Fraction(entry["tau"]) - Fraction(1, 10**9))))


def test_a_factor_larger_than_needed_is_valid_and_only_the_claim_tells() -> None:
    larger = str(Fraction(COMMITTED[0]["claim"]) + 1)
    verify.verify(sealed(COMMITTED[0], claim=larger, tau=larger))
    with pytest.raises(ValueError, match="claim"):
        verify.verify(sealed(COMMITTED[0], tau=larger))


@pytest.mark.parametrize("theorem", ["OP-02", "OP-09", "OP-13", "AL-06", "AL-07", "AL-12"])
def test_a_changed_multiplier_fails_even_with_a_fitting_digest(theorem: str) -> None:
    entry = next(entry for entry in COMMITTED if entry["theorem"] == theorem)
    for name, value in entry["multipliers"].items():
        for changed in (Fraction(value) * Fraction(1001, 1000), -Fraction(value), Fraction(0)):
            with pytest.raises(ValueError, match=r"semidefinite|negative"):
                verify.verify(sealed(entry, multipliers={**entry["multipliers"], name: str(changed)}))


def test_unknown_inequalities_are_refused() -> None:
    with pytest.raises(KeyError):
        verify.verify(sealed(COMMITTED[0], multipliers={"A.lipschitz(p)": "1"}))


# ---- what the certificates say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"remark": "x"}, {"parameters": {"step": "1/2", "stpe": "9"}}, {"parameters": {"step": "-1"}}, {"epsilon": "1/1000"}],
    ids=["unknown entry", "misspelt parameter", "negative step", "a rough bound"],
)
def test_entries_that_mean_nothing_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown|claim \+ epsilon"):
        verify.verify(sealed(COMMITTED[0], **change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "[", "[{}]", '["x"]'])
def test_files_without_certificates_fail_in_a_sentence(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file.json").write_text(text)
    assert verify.main([tmp_path / "file.json"]) == 1
    assert "file.json FAILS" in capsys.readouterr().out
    assert verify.main([tmp_path]) == 1


def test_the_same_certificate_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    file = sorted(verify.CERTIFICATES.glob("*.json"))[0]
    assert verify.main([file, file]) == 0
    assert f"{len(json.loads(file.read_text()))} certificates hold" in capsys.readouterr().out


@every_claim
def test_certificates_state_the_claim_of_monops(theorem: str) -> None:
    claim = CLAIMS[theorem]
    entries = [entry for entry in COMMITTED if entry["theorem"] == theorem]
    for entry in entries:
        statement = statement_of(entry)
        claimed = claim.squared(statement)
        if entry["epsilon"] == "0":
            assert claimed == Fraction(entry["claim"])
        else:
            assert abs(claimed - float(Fraction(entry["claim"]))) < 1e-11
    drawn = {claim.regime(claim.draw(Floats(np.random.default_rng(seed)))) for seed in range(300)}
    assert {claim.regime(statement_of(entry)) for entry in entries} == drawn


def test_exact_factors_of_douglas_rachford_are_those_of_its_guarantee() -> None:
    for entry in COMMITTED:
        if entry["theorem"] in ("AL-06", "AL-09"):
            exact = statement_of(entry)
            floats = {name: float(value) for name, value in exact.parameters.items()}
            assert abs(CLAIMS[entry["theorem"]].squared(exact._replace(parameters=floats)) - Fraction(entry["claim"])) < 1e-12


# ---- the programs --------------------------------------------------------------------------------------------


@every_claim
def test_program_agrees_with_the_claim(theorem: str) -> None:
    claim, numbers = CLAIMS[theorem], Floats(np.random.default_rng(7))
    regimes = set()
    for _ in range(4 * POINTS if theorem == "AL-07" else POINTS):
        statement = claim.draw(numbers)
        regimes.add(claim.regime(statement))
        claimed = float(claim.squared(statement))
        assert abs(worst_case(statement.program).value - claimed) <= 1e-6 * max(claimed, 1e-2), statement
    if theorem == "AL-07":
        assert regimes == {1, 2, 3, 4, 5}


@every_claim
def test_a_mutant_claim_has_no_certificate(theorem: str) -> None:
    claim = CLAIMS[theorem]
    statement = claim.draw(Fractions(random.Random(3)))
    claimed = Fraction(claim.squared(statement)).limit_denominator(10**12)
    assert certify(statement.program, claimed * Fraction(999, 1000)) is None
    assert certify_above(statement.program, claimed * Fraction(999, 1000)) is None
    assert certify_above(statement.program, claimed + Fraction(1, 10**4)) is not None


@pytest.mark.parametrize("theorem", ["AL-05", "AL-12"])
def test_beyond_the_limit_of_relaxation_the_step_expands(theorem: str) -> None:
    numbers, beyond = Floats(np.random.default_rng(1)), 0
    while beyond < 5:
        statement = CLAIMS[theorem].draw(numbers)
        if CLAIMS[theorem].regime(statement) == 1:
            parameters = {**statement.parameters, "step": 1.05 * statement.parameters["step"]}
            assert worst_case(statement._replace(parameters=parameters).program).value > 1 + 1e-4
            beyond += 1


def test_lipschitz_and_monotone_alone_bound_nothing() -> None:
    unbounded = Statement("forward", {"step": 1.0}, {"B": MONOTONE})
    assert worst_case(unbounded.program).value == np.inf


# ---- proofs for all parameters -----------------------------------------------------------------------------------


def test_a_wrong_factor_or_multiplier_is_no_proof() -> None:
    for proof in (PROOFS["OP-13"][0], PROOFS["OP-15"][1], PROOFS["AL-11"][0], PROOFS["AL-12"][0]):
        assert proof.holds()
        assert not dataclasses.replace(proof, tau=proof.tau * sympy.Rational(999, 1000)).holds()
        name = next(iter(proof.multipliers))
        assert not dataclasses.replace(proof, multipliers={**proof.multipliers, name: -proof.multipliers[name]}).holds()
    x = sympy.Symbol("x", positive=True)
    assert nonnegative((x + 1) / (x**2 + 2), {})
    assert not nonnegative(x - 1, {})
    assert not nonnegative(x - 1, {x: 1 / (1 + x)})
    assert nonnegative(1 - x, {x: 1 / (1 + x)})


def numerical(proof: Proof, generator: random.Random) -> tuple[Statement, float]:
    """The statement of a symbolic proof, and its factor, at a point of its domain."""
    chain = [*proof.relations.items(), *proof.domain.items()]
    known = [value for numbers in proof.classes.values() for value in numbers.values()]
    flat = [
        *proof.parameters.values(),
        *(part for value in known for part in (value if isinstance(value, tuple) else (value,))),
    ]
    symbols = {symbol for value in flat for symbol in sympy.sympify(value).subs(chain).free_symbols}
    point = {symbol: sympy.Rational(generator.randint(1, 30), 10) for symbol in sorted(symbols, key=str)}

    def at(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(at(part) for part in value)
        return float(sympy.sympify(value).subs(chain).subs(point))

    parameters = {name: at(value) for name, value in proof.parameters.items()}
    classes = {operator: {name: at(value) for name, value in numbers.items()} for operator, numbers in proof.classes.items()}
    return Statement(proof.iteration, parameters, classes), at(proof.tau)


@pytest.mark.parametrize("theorem", sorted(set(PROOFS) & set(CLAIMS)))
def test_symbolic_factor_is_the_claim_of_monops(theorem: str) -> None:
    generator = random.Random(theorem)
    for proof in PROOFS[theorem]:
        compared = 0
        for _ in range(100):
            statement, factor = numerical(proof, generator)
            try:
                claimed = CLAIMS[theorem].squared(statement)
            except ConstantError:  # mu > L or mu beta > 1: the identity does not mind, but there is no such operator
                continue
            assert abs(factor - claimed) < 1e-12
            compared += 1
            if compared == 3:
                break
        assert compared == 3


def test_symbolic_proofs_cover_the_promised_theorems() -> None:
    promised = "OP-01 OP-02 OP-09 OP-10 OP-11 OP-13 OP-14 OP-15 OP-17 OP-19 AL-02 AL-07 AL-11 AL-12 NN-06"
    assert set(promised.split()) <= set(SYMBOLIC)
    assert all(proof() for proof in SYMBOLIC.values())


# ---- a second engine -----------------------------------------------------------------------------------------------


def test_programs_agree_with_pepit() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pepit = pytest.importorskip("PEPit")
        from PEPit import operators
        from PEPit.primitive_steps import proximal_step

        numbers = Floats(np.random.default_rng(2))
        for theorem in ("AL-07", "AL-07", "AL-08", "AL-06", "AL-06"):
            statement = CLAIMS[theorem].draw(numbers)
            step, relaxation = statement.parameters["step"], statement.parameters["relaxation"]
            problem, found = pepit.PEP(), {}
            for name, known in statement.classes.items():
                mu = known.get("strongly_monotone", 0)
                if "lipschitz" in known:
                    declared = {"mu": mu, "L": known["lipschitz"]}
                    found[name] = problem.declare_function(operators.LipschitzStronglyMonotoneOperatorCheap, **declared)
                elif "cocoercive" in known and mu:
                    declared = {"mu": mu, "beta": known["cocoercive"]}
                    found[name] = problem.declare_function(operators.CocoerciveStronglyMonotoneOperatorCheap, **declared)
                elif "cocoercive" in known:
                    found[name] = problem.declare_function(operators.CocoerciveOperator, beta=known["cocoercive"])
                else:
                    found[name] = problem.declare_function(operators.StronglyMonotoneOperator, mu=mu)
            ends, starts = [], [problem.set_initial_point() for _ in range(2)]
            for z in starts:
                x, _, _ = proximal_step(z, found["B"], step)
                y, _, _ = proximal_step(2 * x - z, found["A"], step)
                ends.append(z + relaxation * (y - x))
            problem.set_initial_condition((starts[0] - starts[1]) ** 2 <= 1)
            problem.set_performance_metric((ends[0] - ends[1]) ** 2)
            value = problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
            assert abs(value - worst_case(statement.program).value) < 1e-5, statement

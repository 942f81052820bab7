"""The benchmark of equilibrium layers at a tiny size: one referee, which our answers pass and worse ones do not."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

from benchmarks import mondeq  # noqa: E402
from benchmarks.mondeq_rows import ROWS, Row, original, tables, worker  # noqa: E402
from benchmarks.mondeq_rows.definition import Definition  # noqa: E402
from benchmarks.mondeq_rows.row import state_of  # noqa: E402

KINDS = {"dense": "dense-87", "convolution": "conv-54", "tiers": "tiers-28"}
every_kind = pytest.mark.parametrize("kind", KINDS)


def small(kind: str) -> Row:
    """A row of this kind at a small size."""
    return ROWS[KINDS[kind]].shrunk(16)


@every_kind
def test_our_answers_pass_the_referee_and_worse_ones_do_not(kind: str) -> None:
    row = small(kind)
    bench = worker.Bench("monops_nn", row)
    settings = bench.candidates()[0] | {"forward_tol": 1e-5, "backward_tol": 1e-5}
    attempt = bench.attempt(settings, 2)
    assert attempt["forward"]["worst"] <= 2e-5
    assert attempt["backward"]["worst"] <= 2e-5
    assert all(count > 0 for count in attempt["iterations"])
    z = bench.solver.forward(bench.inputs)
    for moved in (1.05, 0.9):
        worse = tuple(moved * part.detach() for part in z)
        assert bench.definition.forward_residuals(bench.inputs, worse).batch > 1e-3


@every_kind
def test_the_referee_knows_the_gradient(kind: str) -> None:
    """u from a dense solve passes, and one that is 5 % off does not."""
    row = small(kind)
    definition = Definition(row, {name: value.double() for name, value in state_of(row).items()})
    bench = worker.Bench("monops_nn", row)
    bench.solver.layer.double()  # type: ignore[attr-defined]
    bench.solver.apply({"forward_tol": 1e-13, "backward_tol": 1e-13})
    x, g = bench.inputs[:1].double(), bench.cotangents[:1].double()
    z = tuple(part.detach() for part in bench.solver.forward(x))
    sizes = [part.numel() for part in z]

    def flat_product(v: Any) -> Any:
        parts = [p.reshape(like.shape) for p, like in zip(v.split(sizes), z, strict=True)]
        return torch.cat([p.flatten() for p in definition.product(tuple(parts))])

    total = sum(sizes)
    W = torch.func.jacrev(flat_product)(torch.zeros(total, dtype=torch.float64))
    J = (torch.cat([part.flatten() for part in z]) > 0).double()
    right = torch.cat([torch.zeros(total - g.numel(), dtype=torch.float64), g.flatten()])
    u = torch.linalg.solve(torch.eye(total, dtype=torch.float64) - J[:, None] * W.mT, J * right)
    gradients = tuple(p.reshape(like.shape) for p, like in zip(right.split(sizes), z, strict=True))
    for factor, low, high in ((1.0, 0.0, 1e-10), (1.05, 1e-3, math.inf)):
        parts = tuple(factor * p.reshape(like.shape) for p, like in zip(u.split(sizes), z, strict=True))
        assert low <= definition.backward_residuals(x, z, parts, gradients).batch <= high


def test_old_transforms_mean_what_they_meant() -> None:
    x = torch.randn(2, 3, 5, 6)
    both = original.old_rfft(x, 2, onesided=False)
    assert both.shape == (2, 3, 5, 6, 2)
    torch.testing.assert_close(torch.view_as_complex(both), torch.fft.fft2(x))
    torch.testing.assert_close(original.old_irfft(both, 2, onesided=False), x)


def test_settings_are_tightened_until_they_meet_the_target() -> None:
    class Stub:
        asked: list[float] = []

        def ask(self, command: str, settings: dict[str, Any], rows: int) -> dict[str, Any]:
            self.asked.append(settings["forward_tol"])
            residual = {part: {"batch": 2.0 * settings[f"{part}_tol"]} for part in ("forward", "backward")}
            return {"seconds": [1.0, 1.0], "iterations": [1, 1], **residual}

    stub: Any = Stub()
    found = mondeq.tightened(stub, {}, 1e-3, 4, math.inf)
    assert found is not None
    assert 2e-4 < found["settings"]["forward_tol"] <= 5e-4
    assert stub.asked == sorted(stub.asked, reverse=True)
    assert mondeq.tightened(stub, {}, 1e-3, 4, 1.0) is None  # slower than what is known


def test_the_command_writes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MONOPS_PEER_MONDEQ", raising=False)
    monkeypatch.delenv("MONOPS_PEER_TORCHDEQ", raising=False)
    monkeypatch.setitem(ROWS, "dense-87", small("dense"))
    monkeypatch.setattr(mondeq, "TIMING", 0.01)
    out = tmp_path / "table.md"
    mondeq.main("--rows", "dense-87", "--tolerances", "1e-2", "--rounds", "1", "--out", str(out))
    assert "MONOPS_PEER_MONDEQ" in capsys.readouterr().out
    record = json.loads(out.with_suffix(".jsonl").read_text())
    assert record["solver"] == "monops_nn"
    assert record["attempt"]["forward"]["batch"] <= 1e-2
    assert min(record["forward"], record["backward"]) > 0
    assert ("mebibytes" in record) == sys.platform.startswith("linux") or record["mebibytes"] is not None
    assert out.read_text().count("\n") == 3
    twice = {**record, "solver": "torchdeq", "forward": 2.0 * record["forward"], "backward": 2.0 * record["backward"]}
    assert "2.00 / 2.00 / 2.00 / 1.00" in tables.markdown([record, twice])


def test_an_unknown_row_and_a_missing_peer_say_so() -> None:
    with pytest.raises(SystemExit):
        mondeq.main("--rows", "dense-88")
    failing = mondeq.Worker("torchdeq", small("dense"), hold=False, limit=60.0)
    assert "torchdeq" in failing.settings["error"]
    failing.close()

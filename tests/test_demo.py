"""The part of the demo that trains a network, cut short: what it prints must be there."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the demo's network needs torch")
pytest.importorskip("matplotlib", reason="the demo draws with matplotlib: pip install 'monops[demo]'")
pytest.importorskip("sklearn", reason="the small digits need scikit-learn")

from examples.demo_parts import digits
from monops_nn.datasets import load_digits


def test_the_network_of_the_demo_runs_to_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "data", load_digits)
    monkeypatch.setattr(digits, "LIMIT", 0.0)  # one epoch
    monkeypatch.setattr(digits, "GOAL", 0.5)
    part = digits.run(lambda done: None)
    assert "certified Lipschitz bound" in part.line

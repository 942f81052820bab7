"""Perturbed and quantised weights, and the PAC-Bayes bound that follows from them."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

from monops_nn.certificates import (  # noqa: E402
    displacement,
    pac_bayes,
    parameter_displacement,
    quantise,
)
from monops_nn.certificates.network import network_of  # noqa: E402
from tests.nn.certified import double, draw, layer_with, random_model  # noqa: E402

# ---- perturbed weights ----------------------------------------------------------------------------


def test_quantisation_is_sharp_for_a_scalar() -> None:
    """The grid {-1, 0, 1}: 1 - m becomes 1, so that dW = m, which leaves no margin; what |dW| < m leaves is m - dW, exactly."""
    ones = torch.ones(2, 1, dtype=double)
    got = quantise(layer_with(torch.diag(torch.tensor([0.75, -1.0], dtype=double)), ones), 2)
    assert got.perturbation == pytest.approx(0.25, rel=1e-9)
    assert not got.certified
    assert got.remaining <= 0.0
    assert got.layer is None
    assert "not certified" in str(got)
    got = quantise(layer_with(torch.diag(torch.tensor([0.4, -0.75], dtype=double)), ones), 3)  # the grid of step 1/4: 0.5
    assert got.perturbation == pytest.approx(0.1, rel=1e-9)
    assert got.certified
    assert got.remaining == pytest.approx(0.6 - 0.1, rel=1e-6)


def test_rounded_weights_lie_on_the_grid_and_equilibria_move_as_bounded() -> None:
    layer = random_model(n=8, seed=7)[0]
    x = draw(20, 4)
    last = math.inf
    for bits in (6, 8, 12):
        got = quantise(layer, bits)
        assert got.certified
        W = got.layer.linear.weight()
        assert torch.allclose(W / got.step, torch.round(W / got.step), atol=1e-6)
        assert len(torch.unique(torch.round(W / got.step))) <= 2**bits - 1
        found = displacement(layer, got.layer, x)
        assert bool((found.actual <= found.bound).all())
        assert bool((found.bound <= found.prior * (1 + 1e-6)).all())
        assert float(found.actual.max()) < last
        last = float(found.actual.max())
        assert got.remaining >= got.margin - got.perturbation - 1e-6


def test_the_displacement_bound_is_attained_by_scalars() -> None:
    one, x = torch.ones(1, 1, dtype=double), torch.ones(1, 1, dtype=double)
    found = displacement(layer_with(0.25 * one, one), layer_with(0.5 * one, one), x)
    assert float(found.actual) == pytest.approx(2.0 - 4.0 / 3.0, rel=1e-8)
    assert float(found.bound) == pytest.approx(float(found.actual), rel=1e-6)
    assert float(found.prior) == pytest.approx(float(found.actual), rel=1e-6)
    sigmoid = displacement(layer_with(0.25 * one, one, "sigmoid"), layer_with(0.5 * one, one, "sigmoid"), 0 * x)
    assert math.isinf(float(sigmoid.prior))  # sigma(0) is not 0
    assert 0 < float(sigmoid.actual) <= float(sigmoid.bound)


def test_parameters_move_weights_at_most_as_bounded() -> None:
    A, dA, dB = (draw(4, 4, seed=seed, scale=0.5) for seed in range(3))
    dW = -(A + dA).mT @ (A + dA) + A.mT @ A + dB - dB.mT
    assert float(torch.linalg.matrix_norm(dW, 2)) <= parameter_displacement(A, dA, dB)
    identity = torch.eye(3, dtype=double)
    turn = torch.tensor([[0.0, 1], [-1, 0]], dtype=double)
    assert parameter_displacement(identity, identity, 0 * identity) == pytest.approx(3.0)
    assert parameter_displacement(0 * turn, 0 * turn, turn) == pytest.approx(2.0)  # attained: dB - dB' = 2 dB


# ---- generalisation -------------------------------------------------------------------------------


def test_pac_bayes_grows_as_its_formula_says_and_is_vacuous_here() -> None:
    model = random_model()
    x = draw(200, 4)
    labels = model(x).argmax(1)
    radius = float(x.norm(dim=1).max())
    found = pac_bayes(model, x, labels, margin=0.1, input_radius=radius)
    wide = pac_bayes(model, x, labels, margin=10.0, input_radius=radius)
    assert found.vacuous
    assert wide.complexity < found.complexity
    assert found.margin_loss <= wide.margin_loss
    assert wide.margin_loss > 0.5
    network = network_of(model)
    norms = [model[0].linear.A, model[0].linear.B, network.dense.U, network.dense.b, network.readout, network.offset]
    weights = sum(float((t.detach() ** 2).sum()) for t in norms)
    by_hand = 4.0 * math.sqrt((weights / (2 * found.deviation**2) + math.log(6 * 200 * 41 / 0.05)) / 199)
    assert found.complexity == pytest.approx(by_hand, rel=1e-12)


def test_the_noise_of_pac_bayes_moves_no_score_by_a_quarter_of_the_margin() -> None:
    model, margin = random_model(), 2.0
    x = draw(100, 4)
    found = pac_bayes(model, x, model(x).argmax(1), margin=margin, input_radius=float(x.norm(dim=1).max()))
    generator, moved = torch.Generator().manual_seed(0), []
    for _ in range(20):
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter += found.deviation * torch.randn(parameter.shape, dtype=double, generator=generator)
            moved.append(float((other(x) - model(x)).abs().max()))
    assert np.median(moved) < margin / 4

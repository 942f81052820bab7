"""Certified radii: never contradicted by an attack; training for them; what is refused."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch import nn  # noqa: E402

from monops import errors  # noqa: E402
from monops_nn import MonDEQ, MonotoneLinear  # noqa: E402
from monops_nn.certificates import (  # noqa: E402
    METHODS,
    RobustClassifier,
    attack,
    certified_radii,
    certified_table,
    displacement,
    interval_bounds,
    interval_radii,
    lipschitz_bounds,
    observed_lipschitz,
    pac_bayes,
    quantise,
)
from monops_nn.certificates.network import network_of  # noqa: E402
from monops_nn.certificates.radius import sure_gaps  # noqa: E402
from monops_nn.datasets import Images, load_digits  # noqa: E402
from monops_nn.models import dense  # noqa: E402
from monops_nn.training import Options  # noqa: E402
from tests.nn.certified import double, draw, layer_with, random_model  # noqa: E402

# ---- radii and attacks ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Any, Any]:
    """A small network trained on digits, with test images and labels."""
    digits = load_digits()
    torch.manual_seed(0)
    model = nn.Sequential(MonDEQ(MonotoneLinear(12, 1.0), injection=64, tol=1e-4), nn.Linear(12, 10))
    x, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return model, torch.from_numpy(digits.test_images)[:80], torch.from_numpy(digits.test_labels)[:80]


def test_no_rule_is_contradicted_and_each_is_better_than_the_last(trained: Any) -> None:
    model, x, labels = trained
    x = x.double()
    bounds = lipschitz_bounds(model, steps=40)
    found = {method: certified_radii(model, x, labels, method=method, bounds=bounds) for method in METHODS}
    radii = [found[method].radius for method in METHODS]
    assert all(bool((small <= large).all()) for small, large in itertools.pairwise(radii))
    assert float(radii[-1].mean()) > 1.2 * float(radii[2].mean())
    correct = found["local"].correct
    assert float(correct.double().mean()) > 0.85
    tried = attack(model, x, labels, 3.0 * radii[-1], steps=30, restarts=2)
    assert bool((tried.radius[correct] > radii[-1][correct]).all())
    assert float(tried.success.double().mean()) > 0.3  # it is no straw man
    assert bool((tried.radius[~correct] == 0).all())
    exact = copy.deepcopy(model).double()
    exact[0].tol = 1e-9
    fooled = exact(tried.points.double()).argmax(1)
    assert bool((fooled[tried.success] != labels[tried.success]).all())
    distance = (tried.points - x).flatten(1).norm(dim=1).double()
    assert torch.allclose(distance[tried.success], tried.radius[tried.success], atol=1e-5)


def test_the_linear_classifier_shows_that_attack_and_radius_meet() -> None:
    """Identity activation, two classes: the radius is gap/|slope|, and the attack finds it."""
    model = random_model("identity", classes=2)
    x = draw(10, 4)
    labels = model(x).argmax(1)
    radii = certified_radii(model, x, labels, bounds=lipschitz_bounds(model, steps=40))
    tried = attack(model, x, labels, 1.5 * radii.radius)
    assert bool(tried.success.all())
    assert bool((tried.radius >= radii.radius).all())
    assert torch.allclose(tried.radius, radii.radius, rtol=2e-3)
    pixel = attack(model, x, labels, 3.0 * radii.radius, pixel=2.0)
    assert torch.allclose(pixel.radius, 2.0 * tried.radius, rtol=2e-3)


def test_the_maximum_norm_attack_stays_within_its_cube_and_its_box() -> None:
    model = random_model(seed=1)
    with torch.no_grad():
        model[1].bias.zero_()
    x = draw(20, 4)
    labels = model(x).argmax(1)
    tried = attack(model, x, labels, 2.0, norm="linf", restarts=3, box=(-1.5, 1.5))
    moved = (tried.points - x)[tried.success]
    assert bool(tried.success.any())
    assert float(moved.abs().max()) <= 2.0 + 1e-9


def test_gradients_of_attacks_see_nothing_of_the_model(trained: Any) -> None:
    model, x, labels = trained
    before = copy.deepcopy(model.state_dict())
    model.train()
    attack(model, x[:4], labels[:4], 0.1, steps=2)
    assert model.training
    assert all(bool((value == before[name]).all()) for name, value in model.state_dict().items() if torch.is_tensor(value))
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in model.parameters())


def test_rows_with_nan_have_radius_zero() -> None:
    model, x = random_model(), draw(3, 4)
    x[1, 0] = torch.nan
    bounds = lipschitz_bounds(model, steps=10)
    for method in METHODS:
        radius = certified_radii(model, x, method=method, bounds=bounds).radius
        assert float(radius[1]) == 0.0
        assert bool((radius[[0, 2]] > 0).all())


def test_the_error_of_the_equilibrium_is_taken_off_the_gaps() -> None:
    network = network_of(random_model())
    scores, error = torch.tensor([[3.0, 1.0, 0.0]], dtype=double), torch.tensor([0.25], dtype=double)
    gaps = sure_gaps(network, scores, error, torch.tensor([0]))[0]
    C = network.readout
    assert math.isinf(float(gaps[0]))
    for j, gap in ((1, 2.0), (2, 3.0)):
        assert float(gaps[j]) == pytest.approx(gap - 0.25 * float((C[0] - C[j]).norm()), rel=1e-10)


def test_the_table_counts_what_the_parts_say(trained: Any) -> None:
    model, x, labels = trained
    table = certified_table(model, x, labels, radii=(0.1, 0.4), methods=("margin", "pairs"), attack_steps=10)
    assert table.broken == 0
    assert table.certified["margin"] == certified_radii(model, x, labels, method="margin").accuracy((0.1, 0.4))
    assert all(c <= a <= table.accuracy for c, a in zip(table.certified["pairs"], table.attacked, strict=True))
    assert "margin" in str(table)
    assert "attacked" in str(table)


# ---- intervals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu", "sigmoid"])
def test_boxes_hold_every_equilibrium(activation: str) -> None:
    torch.manual_seed(1)
    layer = MonDEQ(MonotoneLinear(5, 2.0, dtype=double), activation, injection=3, tol=1e-11)
    x, half = draw(6, 3), 0.3 * draw(6, 3, seed=1).abs()
    box = interval_bounds(layer, x - half, x + half)
    assert bool(box.known.all())
    for seed in range(20):
        z = layer(x + half * torch.sign(draw(6, 3, seed=seed)))
        assert bool((box.lower <= z).all() and (z <= box.upper).all())


def test_boxes_of_points_are_points_and_boxes_of_monotone_networks_are_exact() -> None:
    """W >= 0, U >= 0: the equilibrium is increasing, and the box is that of the two corners."""
    W, U = torch.tensor([[0.2, 0.3], [0.1, 0.4]], dtype=double), torch.tensor([[1.0], [2.0]], dtype=double)
    layer, x = layer_with(W, U), torch.tensor([[0.5]], dtype=double)
    box = interval_bounds(layer, x - 0.2, x + 0.2)
    assert torch.allclose(box.lower, layer(x - 0.2), atol=1e-6)
    assert torch.allclose(box.upper, layer(x + 0.2), atol=1e-6)
    same = interval_bounds(layer, x, x)
    assert float((same.upper - same.lower).max()) < 1e-6


def test_unknown_boxes_are_said_to_be_unknown() -> None:
    W = torch.tensor([[-1.0, 6.0], [-6.0, -1.0]], dtype=double)  # sym(I - W) = 2 I, and the iteration of boxes expands
    layer = layer_with(W, torch.eye(2, dtype=double))
    x = torch.ones(1, 2, dtype=double)
    box = interval_bounds(layer, x - 0.1, x + 0.1)
    assert box.contraction == pytest.approx(3.0)
    assert not bool(box.known.any())
    assert bool(torch.isinf(box.upper).all())
    model = nn.Sequential(layer, nn.Linear(2, 2, dtype=double))
    assert float(interval_radii(model, x).radius) == 0.0


def test_interval_radii_are_not_broken() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(MonDEQ(MonotoneLinear(5, 2.0, dtype=double), injection=3), nn.Linear(5, 3, dtype=double))
    x = draw(30, 3)
    labels = model(x).argmax(1)
    radii = interval_radii(model, x, labels, largest=4.0)
    assert bool((radii.radius > 0).all())
    tried = attack(model, x, labels, 4.0, norm="linf", steps=30, restarts=3)
    assert bool((tried.radius >= radii.radius).all())
    assert float((radii.radius / tried.radius).max()) > 0.2


# ---- training -------------------------------------------------------------------------------------


def small_images() -> Images:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 4, 4), dtype=torch.uint8, generator=generator)
    labels = (images.float().mean(dim=(1, 2, 3)) > 127).long()
    return Images(images, labels, images, labels, (0.5,), (0.25,), "noise")


def test_the_robust_task_trains_what_it_certifies() -> None:
    from monops_nn.certificates.task import RobustTask

    options = Options(batch_size=32, monotonicity=2.0, tolerance=1e-4)
    torch.manual_seed(0)
    task = RobustTask.of(options, width=5, margin=0.05, images=small_images())
    optimizer = torch.optim.Adam(task.model.parameters(), lr=2e-2)
    first = task.evaluate()["certified_at_margin"]
    for step in range(60):
        batch = task.batch(step, torch.Generator().manual_seed(step), torch.Generator().manual_seed(step // 2))
        loss, noted = task.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert task.evaluate()["certified_at_margin"] > max(first, 0.7)
    assert {"accuracy", "bound"} <= set(noted)
    assert task.look()["residual"] <= 1e-3
    assert float(task.model.logarithms.detach().abs().max()) > 0
    learned, bounds = task.model.pairwise("multiplier").detach().double(), lipschitz_bounds(task.model, steps=0)
    assert bool((learned <= bounds.pairs_crude * (1 + 1e-4)).all())
    assert float(learned[0, 1]) >= observed_lipschitz(
        task.model, task.data.scaled(task.data.test_images), rows=torch.tensor([[1.0, -1.0]]), steps=2
    ).value * (1 - 1e-4)


def test_the_command_prints_the_table_of_a_run(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    from monops_nn.certificates import __main__ as command

    torch.manual_seed(0)
    model = RobustClassifier(dense((1, 4, 4), 5, 2, 2.0))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr(command, "load_images", lambda name, folder: small_images())
    assert command.main([str(tmp_path), "--samples", "20", "--attack-steps", "3"]) == 0
    printed = capsys.readouterr().out
    assert "noise, 20 images" in printed
    assert "the attack broke: 0" in printed
    assert command.main([str(tmp_path / "nothing")]) == 1
    assert "is no file: give the folder of a finished run" in capsys.readouterr().err
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pt")
    assert command.main([str(tmp_path)]) == 1
    assert "holds no dense classifier for images of shape (1, 4, 4)" in capsys.readouterr().err


def test_the_batches_of_an_epoch_are_all_images_once() -> None:
    from monops_nn.certificates.task import RobustTask

    task = RobustTask.of(Options(batch_size=16, monotonicity=2.0), width=3, images=small_images())
    seen = torch.cat([task.batch(step, torch.Generator(), torch.Generator().manual_seed(7))[0] for step in range(4)])
    expected = task.data.scaled(task.data.train_images)
    assert torch.equal(seen.flatten(1).sum(1).sort().values, expected.flatten(1).sum(1).sort().values)


def test_learned_multipliers_that_prove_nothing_fall_back() -> None:
    model = RobustClassifier(dense((1, 4, 4), 6, 3))
    with torch.no_grad():
        model.logarithms.copy_(draw(3, 6, scale=30.0))
    assert torch.allclose(model.pairwise("multiplier"), model.pairwise("crude"))


# ---- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda m, x: lipschitz_bounds(m, steps=-1), errors.DataError, "steps=-1 must be an integer >= 0"),
        (lambda m, x: lipschitz_bounds(nn.Linear(2, 2)), errors.CapabilityError, "not Linear"),
        (lambda m, x: certified_radii(m, x, method="best"), errors.DataError, "method='best' is unknown"),
        (lambda m, x: certified_radii(m, x, pixel=0.0), errors.DataError, r"pixel=0\.0"),
        (lambda m, x: certified_radii(m, x, torch.zeros(2)), errors.ShapeError, r"labels have shape \(2,\)"),
        (lambda m, x: certified_radii(random_model(classes=1), x), errors.DataError, "single output"),
        (lambda m, x: attack(m, x, torch.zeros(5).long(), 1.0, norm="l1"), errors.DataError, "norm='l1'"),
        (lambda m, x: attack(m, x, torch.zeros(5).long(), 1.0, steps=0), errors.DataError, "steps=0"),
        (lambda m, x: attack(m, x, torch.zeros(5).long(), -1.0), errors.DataError, "not negative"),
        (lambda m, x: attack(m, x, torch.zeros(5).long(), torch.ones(3)), errors.ShapeError, "5 samples"),
        (lambda m, x: attack(m, x, torch.zeros(4).long(), 1.0), errors.ShapeError, r"labels have shape \(4,\)"),
        (lambda m, x: interval_bounds(m, x + 1, x), errors.DataError, "lower must be at most upper"),
        (lambda m, x: interval_bounds(m, x[:, :2], x), errors.ShapeError, r"both need \(batch, 4\)"),
        (lambda m, x: interval_radii(m, x, largest=-1.0), errors.DataError, "largest=-1"),
        (lambda m, x: observed_lipschitz(m, x[:0]), errors.DataError, "no inputs"),
        (lambda m, x: quantise(m[0], 1), errors.DataError, "bits=1"),
        (lambda m, x: quantise(m, 8), errors.CapabilityError, "not Sequential"),
        (lambda m, x: displacement(m, random_model(n=5), x), errors.ShapeError, "different sizes"),
        (
            lambda m, x: pac_bayes(m, x, torch.zeros(5).long(), margin=0.0, input_radius=9.0),
            errors.DataError,
            r"margin=0\.0",
        ),
        (
            lambda m, x: pac_bayes(m, x, torch.zeros(5).long(), margin=1.0, input_radius=1e-3),
            errors.DataError,
            "less than the length",
        ),
        (
            lambda m, x: pac_bayes(random_model("sigmoid"), x, torch.zeros(5).long(), margin=1.0, input_radius=99.0),
            errors.CapabilityError,
            r"sigma\(0\) = 0",
        ),
        (lambda m, x: broken_task(margin=-0.1), errors.DataError, r"margin=-0\.1"),
        (lambda m, x: broken_task(bound="exact"), errors.DataError, "bound='exact'"),
        (lambda m, x: broken_weights(), errors.DataError, "NaN or infinity"),
    ],
)
def test_what_cannot_be_meant_gets_a_sentence(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call(random_model(), draw(5, 4))


def broken_task(**settings: Any) -> Any:
    from monops_nn.certificates.task import RobustTask

    return RobustTask.of(Options(batch_size=16, monotonicity=2.0), images=small_images(), width=3, **settings)


def broken_weights() -> Any:
    model = random_model()
    with torch.no_grad():
        model[0].injection.weight[0, 0] = torch.nan
    return lipschitz_bounds(model)

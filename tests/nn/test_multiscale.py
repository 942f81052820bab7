"""Multiscale equilibria against the formula of the cell, gradcheck, and the networks, pictures and tasks around them."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch.nn import functional  # noqa: E402

from monops import Status, errors  # noqa: E402
from monops_nn.datasets import Images  # noqa: E402
from monops_nn.deq import DEQ  # noqa: E402
from monops_nn.multiscale import (  # noqa: E402
    CLASSES,
    MultiscaleCell,
    ResidualNetwork,
    cost,
    count_parameters,
    generate_shapes,
    matched_residual,
    mean_intersection_over_union,
    monotone_multiscale,
    multiscale,
    residual,
)
from monops_nn.multiscale.task import MultiscaleTask, SegmentationTask  # noqa: E402
from monops_nn.training import Options, train  # noqa: E402


def cell_of(channels: Any = (2, 4, 2), features: int = 3, **kwargs: Any) -> MultiscaleCell:
    torch.manual_seed(0)
    return MultiscaleCell(channels, features, **kwargs).double()


def state_of(cell: MultiscaleCell, x: Any) -> Any:
    return tuple(torch.randn_like(part) for part in cell.initial_state(x))


@pytest.mark.parametrize("inject_all", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_cell_is_its_formula(size: Any, inject_all: bool) -> None:
    """Odd sizes are halved upwards; upsampling repeats pixels."""
    cell = cell_of(inject_all=inject_all)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    z = state_of(cell, x)
    h = []
    for i, part in enumerate(z):
        block, n = cell.blocks[i], part.shape[1]
        inner = functional.group_norm(functional.conv2d(part, block.first.weight, padding=1), n)
        u = functional.conv2d(torch.relu(inner), block.second.weight, padding=1)
        if inject_all or i == 0:
            inject = cell.injections[i]
            u = u + functional.conv2d(functional.adaptive_avg_pool2d(x, part.shape[-2:]), inject.weight, inject.bias)
        h.append(torch.relu(u))
    for i, found in enumerate(cell(z, x)):
        total = h[i].clone()
        for j, part in enumerate(h):
            if j < i:
                kernel = cell.fusions[f"{j}_to_{i}"].weight
                assert kernel.shape[-1] == 2 ** (i - j) + 1
                total += functional.conv2d(part, kernel, stride=2 ** (i - j), padding=kernel.shape[-1] // 2)
            elif j > i:
                small, (rows, columns) = functional.conv2d(part, cell.fusions[f"{j}_to_{i}"].weight), h[i].shape[-2:]
                down = torch.arange(rows) * small.shape[-2] // rows
                right = torch.arange(columns) * small.shape[-1] // columns
                total += small[:, :, down][:, :, :, right]
        torch.testing.assert_close(found, functional.group_norm(total, total.shape[1] if total.shape[1] < 5 else 4))


@pytest.mark.parametrize("normalized", [False, True])
def test_gradcheck_of_the_equilibrium(normalized: bool) -> None:
    cell = cell_of((2, 2), 1, activation=torch.tanh, normalized=normalized, upsampling="bilinear")
    with torch.no_grad():  # so that z counts
        for name, parameter in cell.named_parameters():
            if parameter.ndim == 4 and "injections" not in name and "original0" not in name:
                parameter.mul_(5.0)
    layer = DEQ(cell, tol=1e-11, max_iter=200, on_failure="raise")
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    values = [parameter.detach().clone() for parameter in layer.parameters()]

    def function(x: Any) -> Any:
        return torch.cat([part.flatten() for part in layer(x)])

    assert torch.autograd.gradcheck(function, (x.requires_grad_(),), fast_mode=True)
    weight = torch.randn(2 * 2 * (16 + 4), dtype=torch.float64)
    function(x.detach()).dot(weight).backward()
    directions = [torch.randn_like(value) for value in values]
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, value, way in zip(layer.parameters(), values, directions, strict=True):
                parameter.copy_(value + sign * 1e-5 * way)
            ends.append(float(function(x.detach()).dot(weight)))
    slope = sum(float((p.grad * way).sum()) for p, way in zip(layer.parameters(), directions, strict=True))
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-5)


def test_weight_normalisation_forgets_the_length_of_a_direction() -> None:
    cell = cell_of(normalized=True)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    z = state_of(cell, x)
    before = cell(z, x)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name.endswith("original1"):
                parameter.mul_(3.0)
    for old, new in zip(before, cell(z, x), strict=True):
        torch.testing.assert_close(old, new)


def test_group_norm_bounds_the_iterates() -> None:
    cell = cell_of((4, 8))
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    for part in cell(tuple(1e6 * z for z in state_of(cell, x)), x):
        assert bool((part.flatten(1).norm(dim=1) <= part[0].numel() ** 0.5 * (1 + 1e-12)).all())


def test_every_sample_has_its_status_and_its_own_equilibrium() -> None:
    torch.manual_seed(0)
    network = multiscale((1, 8, 8), 3, channels=(8, 8), tol=1e-4)
    x = torch.randn(3, 1, 8, 8)
    x[1, 0, 0, 0] = torch.nan
    solution = network.body.solve(network.features(x))
    assert [status is Status.CONVERGED for status in solution.row_status] == [True, False, True]
    alone = network.body.solve(network.features(x[2:]))
    for several, one in zip(solution.z, alone.z, strict=True):
        torch.testing.assert_close(several[2:], one, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("make", [multiscale, monotone_multiscale, residual])
@pytest.mark.parametrize(("images", "reduction"), [((1, 7, 9), 1), ((3, 8, 8), 2), ((2, 9, 9), 4)])
def test_networks_take_any_size(make: Any, images: Any, reduction: int) -> None:
    torch.manual_seed(0)
    kwargs: dict[str, Any] = {} if make is residual else {"tol": 1e-1}
    x = torch.randn(2, *images)
    assert make(images, 4, channels=(4, 4), reduction=reduction, **kwargs)(x).shape == (2, 4)
    scores = make(images, 4, channels=(4, 4), reduction=reduction, segment=True, **kwargs)(x)
    assert scores.shape == (2, 4, *images[1:])
    scores.sum().backward()


@pytest.mark.parametrize("segment", [False, True])
def test_the_residual_network_has_as_many_parameters(segment: bool) -> None:
    shape = (3, 32, 32)
    for channels in ((16, 32, 64), (12, 16, 24, 32)):
        wanted = count_parameters(multiscale(shape, 10, channels=channels, segment=segment))
        for blocks in (1, 2):
            found = matched_residual(wanted, shape, 10, channels=channels, segment=segment, blocks=blocks)
            assert abs(count_parameters(found) - wanted) <= 0.02 * wanted
    with pytest.raises(errors.DataError, match="within 2 %"):
        matched_residual(500, shape, 10)


def test_shapes_are_decided_by_their_seed() -> None:
    images, labels = generate_shapes(30, 24, seed=3)
    again = generate_shapes(40, 24, seed=3)
    assert torch.equal(images, again.images[:30])
    assert torch.equal(labels, again.labels[:30])
    assert not torch.equal(images, generate_shapes(30, 24, seed=4).images)
    assert set(labels.unique().tolist()) == set(range(len(CLASSES)))
    assert images.dtype == torch.float32
    assert abs(float(images.mean())) < 0.3
    assert 0.7 < float(images.std()) < 1.4


def test_mean_intersection_over_union_by_sets() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, labels = torch.randint(0, 4, (2, 3, 6, 6), generator=generator)
    ratios = []
    for c in range(4):
        a = {tuple(place) for place in (predicted == c).nonzero().tolist()}
        b = {tuple(place) for place in (labels == c).nonzero().tolist()}
        ratios.append(len(a & b) / len(a | b))
    assert mean_intersection_over_union(predicted, labels, 5) == pytest.approx(sum(ratios) / 4)
    assert mean_intersection_over_union(labels, labels, 5) == 1.0


def pictures() -> Images:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.arange(8)
    return Images(images, labels, images, labels, (0.5,), (0.3,), "random pictures")


@pytest.mark.parametrize("model", ["multiscale", "monotone-multiscale", "residual"])
def test_tasks_train(model: str, tmp_path: Any) -> None:
    options = Options(model=model, data="mnist", epochs=1, batch_size=4, settings=("channels=8,8", "reduction=4"))
    outcome = train(options, tmp_path / "run", images=pictures())
    assert outcome.step == 2
    assert 0.0 <= outcome.measured["accuracy"] <= 1.0
    looked = MultiscaleTask.of(options, images=pictures(), channels=(8, 8), reduction=4).look()
    assert ("iterations" in looked) == (model != "residual")


def test_segmentation_task_with_the_penalty_of_the_jacobian() -> None:
    options = Options(model="multiscale", data="shapes", batch_size=2)
    task = SegmentationTask.of(options, channels="4,8", size=8, count=4, test_count=2, jacobian_weight=1.0)
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    loss, notes = task.loss(task.batch(0, *generators))
    assert float(loss.detach()) == pytest.approx(notes["cross_entropy"] + notes["jacobian_penalty"])
    assert notes["jacobian_penalty"] > 0
    loss.backward()
    assert all(p.grad is not None for p in task.model.parameters())
    assert set(task.evaluate()) == {"mean_iou", "accuracy", "loss"}


def test_an_epoch_sees_every_picture_once() -> None:
    options = Options(model="residual", data="mnist", batch_size=4)
    task = MultiscaleTask.of(options, images=pictures(), channels=(8, 8))
    seen = torch.cat([task.batch(s, torch.Generator(), torch.Generator().manual_seed(1))[1] for s in range(2)])
    assert sorted(seen.tolist()) == list(range(8))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: MultiscaleCell((4,), 3), "2 to 4 resolutions"),
        (lambda: MultiscaleCell((4,) * 5, 3), "2 to 4 resolutions"),
        (lambda: MultiscaleCell((4, 0), 3), "positive integer"),
        (lambda: MultiscaleCell((4, 4), 3, upsampling="cubic"), "nearest"),
        (lambda: multiscale((1, 8, 8), 3, reduction=3), "reduction=3"),
        (lambda: ResidualNetwork((4, 4), 3, 0), "positive integer"),
        (lambda: generate_shapes(0), "count=0"),
        (lambda: SegmentationTask(residual((3, 8, 8), 5, segment=True), size=8, count=4, jacobian_weight=1.0), "for a DEQ"),
        (lambda: SegmentationTask(residual((3, 8, 8), 5, segment=True), size=8, count=4, batch_size=9), "batch_size=9"),
        (lambda: MultiscaleTask.of(Options(model="residual"), images=pictures(), channels="4,x"), "channels='4,x'"),
        (lambda: MultiscaleTask.of(Options(model="residual"), images=pictures(), like="dense"), "like='dense'"),
    ],
)
def test_refusals(call: Any, text: str) -> None:
    with pytest.raises(errors.DataError, match=text):
        call()


@pytest.mark.filterwarnings("ignore::monops.errors.NotConvergedWarning")
@pytest.mark.parametrize("kind", cost.KINDS)
def test_a_step_is_measured(kind: str) -> None:
    found = cost._measured(kind, 2, [8, 8], 8, 1, 2, 1)
    assert found.seconds > 0
    assert found.memory_mb >= 0


def test_a_measurement_that_cannot_be_meant() -> None:
    with pytest.raises(errors.DataError, match="choose one of equilibrium"):
        cost.step_cost("recurrent", 2)


def test_images_of_another_shape_are_refused() -> None:
    network = multiscale((1, 8, 8), 3, channels=(4, 4))
    with pytest.raises(errors.ShapeError, match="needs \\(batch, 1, 8, 8\\)"):
        network(torch.zeros(2, 1, 9, 8))
    with pytest.raises(errors.ShapeError, match="needs \\(batch, 4, height, width\\)"):
        network.body.cell.initial_state(torch.zeros(2, 3, 8, 8))

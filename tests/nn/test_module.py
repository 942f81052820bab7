"""The layer as a citizen of torch: state_dict with settings, memory formats, data parallelism, names of activations."""

from __future__ import annotations

import copy
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402

import monops  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import ACTIVATIONS, LayerNewton, MonDEQ, MonotoneLinear  # noqa: E402
from monops_nn.kernels import kernel_of  # noqa: E402
from monops_nn.parametrize import PaddedConvolution  # noqa: E402
from tests.nn.layers import inputs, layer  # noqa: E402


def through_file(module: nn.Module) -> Any:
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@pytest.mark.parametrize(
    "algorithm",
    [
        None,
        monops.PeacemanRachford(0.25),
        monops.Anderson(monops.DouglasRachford(0.5, relaxation=1.5), memory=4, type=1),
        LayerNewton(),
    ],
    ids=repr,
)
def test_the_settings_of_the_solver_travel_with_the_weights(algorithm: Any) -> None:
    backward = monops.ForwardBackwardForward()
    module = layer(algorithm=algorithm, backward_algorithm=backward, tol=1e-7, gradient="neumann")
    fresh = layer(seed=3)
    fresh.load_state_dict(through_file(module))
    assert (fresh.algorithm, fresh.backward_algorithm) == (algorithm, backward)
    assert (fresh.tol, fresh.max_iter, fresh.gradient, fresh.fixed_steps) == (1e-7, 20_000, "neumann", None)
    torch.testing.assert_close(fresh(inputs()), module(inputs()), rtol=0, atol=0)


def test_settings_of_another_version_are_named() -> None:
    module = layer()
    state = module.state_dict()
    state["_extra_state"] = {**state["_extra_state"], "algorithm": {"name": "Landweber"}}
    with pytest.raises(errors.DataError, match="the method 'Landweber', which this version"):
        layer().load_state_dict(state)
    state["_extra_state"] = {"tolerance": 1.0}
    with pytest.raises(errors.DataError, match=r"unknown solver settings \['tolerance'\]"):
        layer().load_state_dict(state)


def test_channels_last_and_leading_axes_of_images() -> None:
    torch.manual_seed(0)
    module = MonDEQ(PaddedConvolution(3, 5, dtype=torch.float64), injection=2, tol=1e-11)
    x = torch.randn(6, 2, 5, 5, dtype=torch.float64)
    z = module(x)
    torch.testing.assert_close(module(x.contiguous(memory_format=torch.channels_last)), z, rtol=0, atol=1e-9)
    torch.testing.assert_close(module(x.reshape(2, 3, 2, 5, 5)), z.reshape(2, 3, 3, 5, 5), rtol=0, atol=1e-9)
    torch.testing.assert_close(module(x[0]), z[0], rtol=0, atol=1e-9)
    with pytest.raises(errors.ShapeError, match=r"\(6, 3, 5, 5\).*\.\.\., 2, height, width"):
        module(torch.zeros(6, 3, 5, 5, dtype=torch.float64))
    with pytest.raises(errors.ShapeError, match=r"needs \(\.\.\., 3, 5, 5\)"):
        module(torch.zeros(6, 2, 6, 6, dtype=torch.float64))


def _train_on_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    try:
        module = nn.parallel.DistributedDataParallel(layer("tanh"))
        module(inputs(8)[4 * rank : 4 * rank + 4]).square().mean().backward()
        if rank == 0:
            torch.save({name: value.grad for name, value in module.module.named_parameters()}, f"{folder}/gradients.pt")
        del module  # its reducer holds the group: destroyed after it, gloo's threads end the process with SIGABRT now and then
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(os.name == "nt" or not dist.is_available(), reason="needs torch.distributed with gloo")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_distributed_data_parallel_has_the_gradient_of_the_whole_batch() -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_train_on_rank, args=(folder,), nprocs=2)
        found = torch.load(Path(folder) / "gradients.pt", weights_only=True)
    module = layer("tanh")
    module(inputs(8)).square().mean().backward()
    for name, value in module.named_parameters():
        torch.testing.assert_close(found[name], value.grad, rtol=0, atol=1e-12)


def test_averaged_weights_and_copies_while_training() -> None:
    module = layer("tanh")
    averaged = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(3):
        module.zero_grad()
        module(inputs()).sum().backward()
        with torch.no_grad():
            for value in module.parameters():
                value.sub_(0.01 * value.grad)
        averaged.update_parameters(module)
        copy.deepcopy(module)
    assert bool(torch.isfinite(averaged(inputs())).all())


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_name_gives_the_activation_of_that_name(name: str) -> None:
    """Against torch's own functions, at alpha = 1 and through the layer's kernels."""
    reference = {
        "identity": lambda h: h,
        "relu": torch.relu,
        "leaky_relu": nn.functional.leaky_relu,
        "relu6": nn.functional.relu6,
        "hardtanh": nn.functional.hardtanh,
        "hardsigmoid": nn.functional.hardsigmoid,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "centered_sigmoid": lambda h: torch.sigmoid(h) - 0.5,
        "softplus": lambda h: torch.log1p(torch.exp(-h.abs())) + torch.relu(h),
        "elu": nn.functional.elu,
        "arctan": torch.arctan,
        "softsign": nn.functional.softsign,
        "inverse_square_root": lambda h: h / torch.sqrt(1 + h * h),
        "inverse_square_root_linear": lambda h: torch.where(h >= 0, h, h / torch.sqrt(1 + h * h)),
        "bent_identity": lambda h: 0.5 * (h + torch.sqrt(h * h + 1) - 1),
        "signed_logarithm": lambda h: torch.sign(h) * torch.log1p(h.abs()),
        "arcsinh": torch.arcsinh,
        "soft_threshold": lambda h: nn.functional.softshrink(h, 1.0),
        "softmax": lambda h: torch.softmax(h, -1),
    }
    f, h = ACTIVATIONS[name](), 5.0 * torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = f.batched(1).prox(h, 1.0)
    if name == "sparsemax":  # the definition: the projection on the simplex
        assert bool((got >= 0).all())
        torch.testing.assert_close(got.sum(1), torch.ones(50, dtype=torch.float64))
        active = torch.where(got > 0, h - got, torch.nan)
        level = torch.nanmedian(active, dim=1, keepdim=True).values
        torch.testing.assert_close(torch.relu(h - level), got, rtol=0, atol=1e-12)
        return
    torch.testing.assert_close(got, reference[name](h), rtol=1e-12, atol=1e-13)
    kernel = kernel_of(f)
    if kernel is not None:
        torch.testing.assert_close(kernel.value(h), got, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(kernel.slope(h), f.batched(1).prox_derivative(h, 1.0).diagonal, rtol=1e-9, atol=1e-12)
        kink = torch.zeros(1, 1, dtype=torch.float64)
        torch.testing.assert_close(kernel.slope(kink), f.batched(1).prox_derivative(kink, 1.0).diagonal)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.ReLU(), "relu"),
        (nn.Tanh(), "tanh"),
        (nn.LeakyReLU(0.2), "LeakyReLU(batch_ndim=0, slope=0.2)"),
        (nn.Hardtanh(-2.0, 3.0), "Box(batch_ndim=0, lower=-2.0, upper=3.0)"),
        (nn.Softshrink(0.3), "L1Norm"),
        (nn.ELU(0.5), "ELU(batch_ndim=0, alpha=0.5)"),
    ],
)
def test_activations_of_torch_are_understood_with_their_settings(module: Any, expected: str) -> None:
    made = MonDEQ(MonotoneLinear(3), module, injection=2)
    assert f"activation={expected}" in repr(made)
    h = torch.linspace(-4, 4, 9).reshape(1, 9)
    torch.testing.assert_close(made.activation.batched(1).prox(h, 1.0), module(h))


@pytest.mark.parametrize("name", ["gelu", "SiLU", "swish", "mish", "SELU", nn.GELU(), nn.Mish(), nn.SiLU(), nn.SELU()])
def test_what_is_no_prox_is_refused_with_a_stand_in(name: Any) -> None:
    with pytest.raises(errors.CapabilityError, match=r"prox of no convex function, because its slope .*; use .*(Softplus|ELU)"):
        MonDEQ(MonotoneLinear(3), name, injection=2)


@pytest.mark.parametrize(("module", "words"), [(nn.Softplus(2.0), "Softplus(beta=2)"), (nn.Softmax(dim=0), "Softmax(dim=0)")])
def test_settings_of_activations_that_are_not_understood_are_refused(module: Any, words: str) -> None:
    with pytest.raises(errors.CapabilityError) as caught:
        MonDEQ(MonotoneLinear(3), module, injection=2)
    assert words in str(caught.value)


def test_an_unknown_activation_lists_the_known_ones() -> None:
    with pytest.raises(errors.DataError, match="'rleu' is unknown: choose one of identity, relu, leaky_relu"):
        MonDEQ(MonotoneLinear(3), "rleu", injection=2)


def test_a_coupled_activation_needs_a_state_without_border() -> None:
    module = MonDEQ(PaddedConvolution(2, 3), "softmax", injection=1)
    with pytest.raises(errors.CapabilityError, match="couples the entries of a state, some of which this W holds at 0"):
        module(torch.zeros(1, 1, 3, 3))

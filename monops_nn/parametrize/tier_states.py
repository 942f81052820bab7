"""What the parametrisations on several tiers share: W z on tuples of tensors, and the injection into the first tier."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from monops.errors import ShapeError
from monops_nn.parametrize.parametrization import Parametrization


def product_of_tiers(linear: Parametrization, z: Any) -> tuple[Tensor, ...]:
    """W z for a state z, a tuple of tensors (..., n_i, h_i, w_i)."""
    shapes, leads = [tuple(part.shape[-3:]) for part in z], {tuple(part.shape[:-3]) for part in z}
    if shapes != list(linear.shape) or len(leads) != 1:
        raise ShapeError(
            f"the tiers of z have shapes {[tuple(part.shape) for part in z]}, but need {list(linear.shape)}, all after the "
            "same leading axes"
        )
    (lead,) = leads
    rows = linear.enter(tuple(part.reshape(-1, *part.shape[-3:]).to(linear.solving_dtype) for part in z))
    images = linear.leave(linear.current_system().product(rows))
    return tuple(image.reshape(*lead, *image.shape[1:]).to(part.dtype) for image, part in zip(images, z, strict=True))


def first_tier_injection(linear: Parametrization, channels: int, channels_out: int, kernel_size: int) -> nn.Module:
    """A convolution from images to the first tier."""
    device, dtype = linear.reference.device, linear.reference.dtype
    return nn.Conv2d(channels, channels_out, kernel_size, padding=kernel_size // 2, device=device, dtype=dtype)

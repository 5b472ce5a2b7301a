"""Constructions on the sphere and on SO(3): transforms, convolutions, nonlinearities."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from geocore.config.laws import LawsParams
from geocore.measure.equivariance import relative_error
from geocore.models.s2cnn.activation import ActivationName, SO3Activation
from geocore.models.s2cnn.convolution import S2Convolution, SO3Convolution
from geocore.models.s2cnn.kernels import s2_kernel_grid, so3_kernel_grid
from geocore.models.s2cnn.pooling import SO3ToS2
from geocore.models.s2cnn.tensor_product import TensorProduct
from geocore.pipeline.constructions import Case, Construction, worst
from geocore.so3.driscoll_healy import driscoll_healy_directions
from geocore.so3.harmonics import spherical_harmonics
from geocore.so3.orders import all_orders
from geocore.so3.rotation import quaternion_to_matrix
from geocore.so3.s2_rotation import S2Rotation
from geocore.so3.s2_transform import S2Transform
from geocore.so3.sampling import random_rotations

__all__ = ["SPHERICAL"]

_CHANNELS, _WIDE = 3, 0.8  # channels; colatitude of the outermost ring of a kernel, radians
Make = Callable[[LawsParams, torch.dtype, torch.Generator], nn.Module]


def _rotations(params: LawsParams) -> Tensor:
    samples = torch.arange(params.elements).numpy()
    return quaternion_to_matrix(random_rotations("so3", params.seed, samples)).double()


def _white(params: LawsParams, so3: bool, dtype: torch.dtype, batch: int) -> Tensor:
    """Coefficients, ``m >= 0``, of real white noise of full band and mean square 1."""
    b, generator = params.bandlimit, torch.Generator().manual_seed(params.seed)
    orders = (b, 2 * b - 1) if so3 else (b,)
    half = torch.randn(batch, _CHANNELS, b, *orders, dtype=torch.complex128, generator=generator)
    degree = torch.arange(b)[:, None]
    inside = torch.arange(b) <= degree
    if so3:
        n = torch.arange(1 - b, b)
        first = half[..., 0, :]
        half[..., 0, :] = (first + (1 - 2 * (n % 2)) * first.conj().flip(-1)) / 2**0.5
        inside = inside[:, :, None] & (n.abs() <= degree[..., None])
        scale = ((2 * degree[..., None] + 1) * b * (4 * b**2 - 1) / 3) ** -0.5
    else:
        half[..., 0] = half[..., 0].real * 2**0.5
        scale = torch.tensor((4 * math.pi) ** 0.5 / b)
    return (half * inside * scale).to(dtype.to_complex())


def _rotated(half: Tensor, rotation: Tensor, so3: bool) -> Tensor:
    """``D^l(R) f_l`` on the sphere, ``conj(D^l(R)) f^l`` on SO(3), in float64."""
    full = all_orders(half.to(torch.complex128), 2 if so3 else 1)
    matrices = S2Rotation(half.shape[2], rotation, torch.float64).matrices  # D^l_mn, m >= 0
    if so3:
        turned = torch.einsum("lmn,zclnk->zclmk", matrices.conj(), full)
    else:
        turned = torch.einsum("lmn,zcln->zclm", matrices, full)
    return turned.to(half.dtype)


def _commuting(
    make: Make, so3_in: bool, so3_out: bool, exactly: bool, params: LawsParams, dtype: torch.dtype
) -> Case:
    generator = torch.Generator().manual_seed(params.seed)
    module = make(params, dtype, generator)
    x, rotations = _white(params, so3_in, dtype, 2), _rotations(params)

    def error() -> float:
        with torch.no_grad():
            plain = module(x)
            return worst(
                float(
                    relative_error(
                        module(_rotated(x, rotation, so3_in)), _rotated(plain, rotation, so3_out)
                    ).max()
                )
                for rotation in rotations
            )

    sample = partial(_white, params, so3_in, dtype)
    return Case(module, sample, error if exactly else None, None if exactly else error)


def _transform(params: LawsParams, dtype: torch.dtype) -> Case:
    b = params.bandlimit
    module = S2Transform(b, dtype=dtype)
    coefficients, rotations = _white(params, False, torch.float64, 2), _rotations(params)
    directions = driscoll_healy_directions(b)

    def samples(where: Tensor) -> Tensor:
        """The signal at points of the sphere, summed there by the formula."""
        harmonics = spherical_harmonics(b - 1, where, "complex")
        full = all_orders(coefficients)
        flat = torch.cat([full[..., l, b - 1 - l : b + l] for l in range(b)], dim=-1)
        found: Tensor = torch.einsum("zck,ijk->zcij", flat, harmonics).real
        return found

    def exact() -> float:
        errors = []
        for rotation in rotations:
            turned = module(samples(directions @ rotation).to(dtype))  # R^-1 v, v in rows
            expected = _rotated(coefficients, rotation, False)
            errors.append(float(relative_error(turned, expected).max()))
        return worst(errors)

    def sample(batch: int) -> Tensor:
        generator = torch.Generator().manual_seed(params.seed)
        return torch.randn(batch, _CHANNELS, 2 * b, 2 * b, generator=generator).to(dtype)

    return Case(module, sample, exact, None)


def _s2(params: LawsParams, dtype: torch.dtype, generator: torch.Generator) -> nn.Module:
    b, kernel = params.bandlimit, s2_kernel_grid(_WIDE)
    return S2Convolution(_CHANNELS, 4, b, b, kernel, dtype=dtype, generator=generator)


def _so3(params: LawsParams, dtype: torch.dtype, generator: torch.Generator) -> nn.Module:
    b, kernel = params.bandlimit, so3_kernel_grid(_WIDE)
    return SO3Convolution(_CHANNELS, 4, b, b, kernel, dtype=dtype, generator=generator)


def _to_s2(params: LawsParams, dtype: torch.dtype, generator: torch.Generator) -> nn.Module:
    b, kernel = params.bandlimit, so3_kernel_grid(_WIDE)
    return SO3ToS2(_CHANNELS, 4, b, b, kernel, dtype=dtype, generator=generator)


def _product(params: LawsParams, dtype: torch.dtype, generator: torch.Generator) -> nn.Module:
    return TensorProduct(_CHANNELS, 4, params.bandlimit, dtype=dtype, generator=generator)


def _activation(
    fn: ActivationName, params: LawsParams, dtype: torch.dtype, _: torch.Generator
) -> nn.Module:
    return SO3Activation(fn, params.bandlimit, oversampling=2.0, dtype=dtype)


SPHERICAL = (
    Construction("S2 transform", "sphere", "SO(3)", "F(R f)_l = D^l(R) F(f)_l", _transform),
    Construction(
        "S2 convolution (lifting)", "sphere", "SO(3)", "h(D^l f_l) = conj(D^l) h(f)^l",
        partial(_commuting, _s2, False, True, True),
    ),
    Construction(
        "SO(3) convolution", "SO(3)", "SO(3)", "h(conj(D^l) f^l) = conj(D^l) h(f)^l",
        partial(_commuting, _so3, True, True, True),
    ),
    Construction(
        "SO(3) to S2", "SO(3)", "SO(3)", "h(conj(D^l) f^l) = D^l h(f)_l",
        partial(_commuting, _to_s2, True, False, True),
    ),
    Construction(
        "Clebsch-Gordan product", "SO(3)", "SO(3)", "h(conj(D^l) f^l) = conj(D^l) h(f)^l",
        partial(_commuting, _product, True, True, True),
    ),
    *(
        Construction(
            f"{fn} on SO(3), oversampled twice", "SO(3)", "SO(3)",
            "h(conj(D^l) f^l) = conj(D^l) h(f)^l",
            partial(_commuting, partial(_activation, fn), True, True, False),
        )
        for fn in ("relu", "silu")
    ),
)  # fmt: skip

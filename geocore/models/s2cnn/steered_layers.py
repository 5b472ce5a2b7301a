"""The layers between activations on signals of few orders (``steered.py``).

Parameters, kernels and laws are those of ``S2Convolution``, ``SO3Convolution`` and
``EquivariantNorm``; orders ``|n| >= N`` are neither read nor computed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.models.s2cnn.convolution import Convolution
from geocore.models.s2cnn.kernels import KernelGrid
from geocore.models.s2cnn.steered import SteeredActivation
from geocore.so3.orders import alternating
from geocore.so3.wigner_tables import harmonic_table, signed_wigner_table

__all__ = ["LiftedActivation", "SteeredConvolution", "SteeredLift", "SteeredNorm"]

_GROUP = 4  # degrees in one batched product: their rows of m are padded to the longest


class SteeredLift(Convolution):
    """``S2Convolution`` to ``|n| < orders``: ``h^l_mn = sum_i conj(f_lm) psi_ln / (2l + 1)``.

    Complex ``(batch, in, b, b)``, the degrees of ``bandlimit``, -> real
    ``(m, n, part, l, out, batch)``. Raises ``ValueError`` for coefficients of another shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bandlimit: int,
        orders: int,
        kernel: KernelGrid,
        *,
        bias: bool = True,
        gain: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.orders = orders
        sizes = (in_channels, out_channels, bandlimit, bandlimit)
        super().__init__(*sizes, kernel, bias=bias, gain=gain, dtype=dtype)

    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        n = torch.arange(1 - self.orders, self.orders)
        rings = harmonic_table(self.degrees, torch.tensor(kernel.betas, dtype=torch.float64))
        # conj Y_l,-n = (-1)^n Y_ln
        rings = rings[n.abs()] * torch.where(n < 0, alternating(n), 1)[:, None, None]
        rings = rings / (2 * torch.arange(self.degrees, dtype=torch.float64) + 1)[:, None]
        angle = n[:, None] * torch.tensor(kernel.alphas, dtype=torch.float64)
        phases = torch.stack([angle.cos(), -angle.sin()], dim=1)
        table = torch.einsum("nlj,nrp->nrljp", rings, phases).flatten(3)
        self.register_buffer("table", table.to(dtype), persistent=False)  # (n, part, l, points)

    table: Tensor

    def forward(self, coefficients: Tensor) -> Tensor:
        product = torch.einsum("nqolip,mpliz->mnqloz", self.blocks(), self.rows(coefficients))
        return product if self.bias is None else _plus_constant(product, self.bias)

    def rows(self, coefficients: Tensor) -> Tensor:
        """The signals as ``(m, part, l, in, batch)``, checked."""
        b = self.bandlimit_in
        if tuple(coefficients.shape[1:]) != (self.in_channels, b, b):
            found = f"coefficients has shape {tuple(coefficients.shape)}"
            raise ValueError(f"{found}; expected (batch, {self.in_channels}, {b}, {b})")
        return torch.view_as_real(coefficients.resolve_conj()).permute(3, 4, 2, 1, 0)

    def blocks(self) -> Tensor:
        """What multiplies the parts of ``f_lm``: ``(n, part made, out, l, in, part read)``."""
        u, v = torch.einsum("nrlp,oip->rnoli", self.table, self.values())
        # conj(x + iy) (u + iv)
        return torch.stack([torch.stack([u, v], -1), torch.stack([v, -u], -1)], 1)

    def mean_square(self, signals: Tensor, blocks: Tensor) -> Tensor:
        """Of what ``forward`` gives, but for its constants: ``(out, batch)``.

        ``sum_l (2l + 1) sum_ij (sum_m conj(f_i) f_j) (sum_n psi_i conj(psi_j))`` without ``h``.
        """
        odd = 2 * torch.arange(self.degrees, dtype=signals.dtype, device=signals.device) + 1
        odd[0] = 0
        often = torch.full_like(odd, 2).index_fill(0, odd.new_zeros(1, dtype=torch.long), 1)
        f, psi = torch.complex(*signals.unbind(1)), torch.complex(*blocks[:, 0].unbind(-1))
        pairs = torch.einsum("mliz,mljz,m->lijz", f.conj(), f, often.to(f.dtype))
        kernels = torch.einsum("noli,nolj,l->olij", psi, psi.conj(), odd.to(psi.dtype))
        # Where channels cancel, rounding may leave less than nothing.
        return torch.einsum("olij,lijz->oz", kernels, pairs).real.clamp_min(0)


class LiftedActivation(nn.Module):
    """``activation(norm(lift(f)))``, the lift and the sum over degrees in one product.

    ``sum_l (2l + 1) d^l_mn(beta) conj(f_lm) psi_ln / (2l + 1)``: for each ``m`` a matrix times the
    signals of all samples, which need no gradient where they are data. Complex ``(batch, in, b,
    b)`` -> ``(m, n, part, l, out, batch)``.
    """

    def __init__(
        self, lift: SteeredLift, norm: SteeredNorm | None, activation: SteeredActivation
    ) -> None:
        super().__init__()
        if norm is not None and lift.bias is not None:
            raise ValueError("lift has a bias; expected none before a norm, which has its own")
        if lift.degrees != activation.to_grid.bandlimit:
            found = f"{lift.degrees} and {activation.to_grid.bandlimit}"
            raise ValueError(f"lift and activation have bandlimits {found}; expected one")
        self.lift, self.norm, self.activation = lift, norm, activation

    def forward(self, coefficients: Tensor) -> Tensor:
        grid, lift = self.activation.to_grid, self.lift
        signals, blocks = lift.rows(coefficients), lift.blocks()
        b, batch = len(signals), signals.shape[-1]
        small = grid.to_beta.view(b, -1, 2, *grid.to_beta.shape[1:])[:, :, 0]  # (m, n, beta, l)
        matrix = small[:, :, None, :, None, :, None, None] * blocks[None, :, :, None]
        shape = matrix.shape[:5]  # m, n, part, beta, out
        columns = signals.permute(0, 2, 3, 1, 4).reshape(b, -1, batch)  # (m, l in part, z)
        rings = torch.bmm(matrix.reshape(b, -1, columns.shape[1]), columns).view(*shape, batch)
        bias = lift.bias if self.norm is None else self.norm.bias
        if bias is not None:
            # On a ring too a constant has the orders m = n = 0 alone.
            level = _constant(bias, rings).narrow(3, 0, 1)
            level = level.expand(-1, -1, -1, shape[3], -1, -1)
            if self.norm is None:
                rings = rings + level
            else:
                factor = self.norm.factor(lift.mean_square(signals, blocks))
                rings = torch.addcmul(level, rings, factor)
        return self.activation.from_samples(grid.from_rings(rings))


class SteeredConvolution(Convolution):
    """``SO3Convolution`` of one bandlimit: ``h^l_mk = sum_i sum_(|n|<N) f^l_mn conj(psi^l_kn)``.

    ``orders``: how many are read and computed, ``|n| < orders[0]`` and ``|k| < orders[1]``. Real
    ``(m, n, part, l, in, batch)`` -> ``(m, k, part, l, out, batch)``. Raises ``ValueError`` for
    coefficients of another shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bandlimit: int,
        orders: tuple[int, int],
        kernel: KernelGrid,
        *,
        bias: bool = True,
        gain: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.orders = orders
        sizes = (in_channels, out_channels, bandlimit, bandlimit)
        super().__init__(*sizes, kernel, bias=bias, gain=gain, dtype=dtype)

    def prepare(self, kernel: KernelGrid, dtype: torch.dtype) -> None:
        if not kernel.gammas:
            raise ValueError("grid has no gammas; expected a grid on SO(3) (so3_kernel_grid)")
        b, (read, made) = self.degrees, self.orders
        beta, alpha, gamma = (
            torch.tensor(angles, dtype=torch.float64)
            for angles in (kernel.betas, kernel.alphas, kernel.gammas)
        )
        half = signed_wigner_table(b, beta)[:made, b - read :][:, : 2 * read - 1]
        k, n = torch.arange(1 - made, made), torch.arange(1 - read, read)
        # d^l_-k,-n = (-1)^(k-n) d^l_kn
        signs = alternating(k[made:, None] - n)[..., None, None]
        small = torch.cat([(half[1:] * signs).flip(0, 1), half])
        angle = k[:, None, None] * alpha + n[:, None] * gamma
        phases = torch.stack([angle.cos(), -angle.sin()], dim=2)  # of conj psi
        self.rings = len(kernel.betas)
        self.register_buffer("small", small.flatten(0, 1).to(dtype), persistent=False)
        self.register_buffer("phases", phases.flatten(0, 2).T.to(dtype), persistent=False)

    small: Tensor
    phases: Tensor

    def kernel(self) -> Tensor:
        """The matrix of each degree: ``(l, k part out, n part in)``."""
        k, n = (2 * orders - 1 for orders in reversed(self.orders))
        out, into, b = self.out_channels, self.in_channels, self.degrees
        sums = self.values().unflatten(-1, (self.rings, -1)) @ self.phases  # (out, in, j, k n part)
        sums = sums.view(out * into, self.rings, k * n, 2).permute(2, 1, 0, 3).flatten(2)
        real, imaginary = (self.small @ sums).view(k, n, b, out, into, 2).unbind(-1)
        rows = [torch.stack([real, -imaginary], -1), torch.stack([imaginary, real], -1)]
        blocks = torch.stack(rows, -2)  # (k, n, l, out, in, part, part)
        return blocks.permute(2, 0, 5, 3, 1, 6, 4).reshape(b, k * 2 * out, n * 2 * into)

    def forward(self, coefficients: Tensor) -> Tensor:
        b, shape = self.degrees, tuple(coefficients.shape)
        k, n = (2 * orders - 1 for orders in reversed(self.orders))
        if shape[:-1] != (b, n, 2, b, self.in_channels):
            raise ValueError(
                f"coefficients has shape {shape}; "
                f"expected ({b}, {n}, 2, {b}, {self.in_channels}, batch)"
            )
        kernel = self.kernel()
        found = []
        for low in range(0, b, _GROUP):
            high = min(b, low + _GROUP)
            rows = coefficients[:high, :, :, low:high].permute(3, 1, 2, 4, 0, 5)
            product = torch.bmm(
                kernel[low:high], rows.reshape(high - low, -1, high * shape[-1])
            ).view(high - low, k, 2, self.out_channels, high, shape[-1])
            found.append(F.pad(product.permute(4, 1, 2, 0, 3, 5), (0,) * 11 + (b - high,)))
        out = torch.cat(found, dim=3)
        return out if self.bias is None else _plus_constant(out, self.bias)


class SteeredNorm(nn.Module):
    """``EquivariantNorm``: ``scale_c f_c / sqrt(s + eps) + bias_c``.

    ``s``: the mean square of what is not constant, over SO(3), and over channels too with
    ``over="sample"``. ``(m, n, part, l, channel, batch)`` to the same.
    """

    def __init__(
        self,
        channels: int,
        bandlimit: int,
        over: str = "channel",
        eps: float = 1e-5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if over not in ("sample", "channel"):
            raise ValueError(f"over is {over!r}; expected 'sample' or 'channel'")
        self.over, self.eps = over, eps
        weights = 2 * torch.arange(bandlimit, dtype=dtype) + 1
        weights = weights * torch.where(torch.arange(bandlimit) > 0, 2.0, 1.0)[:, None]
        weights[:, 0] = 0
        self.register_buffer("weights", weights, persistent=False)
        self.scale = nn.Parameter(torch.ones(channels, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, dtype=dtype))

    weights: Tensor

    def forward(self, coefficients: Tensor) -> Tensor:
        maps = coefficients.shape[-2:]
        weights = self.weights[:, None, None].expand(coefficients.shape[:4]).reshape(1, -1)
        squares = coefficients.square().reshape(weights.shape[1], -1)
        square = (weights @ squares).view(maps)
        constant = _constant(self.bias, coefficients)
        return torch.addcmul(constant, coefficients, self.factor(square))

    def factor(self, square: Tensor) -> Tensor:
        """``scale / sqrt(s + eps)`` of each channel's mean square, ``(channel, batch)``."""
        if self.over == "sample":
            square = square.mean(dim=0, keepdim=True)
        return self.scale[:, None] * (square + self.eps).rsqrt()


def _constant(values: Tensor, like: Tensor) -> Tensor:
    """The functions ``values`` on SO(3): ``(m, n, part, l, channel, 1)``."""
    b, n = like.shape[:2]
    edge = (0, 0, 0, 0, 0, b - 1, 0, 1, n // 2, n // 2, 0, b - 1)
    return F.pad(values[None, None, None, None, :, None], edge)


def _plus_constant(coefficients: Tensor, values: Tensor) -> Tensor:
    return coefficients + _constant(values, coefficients)

"""Steerable networks on the plane for C_n, D_n, SO(2) and O(2), from a description of their fields.

``network(g f) = g network(f)``: exactly for the elements that permute pixels, else as far as the
sampling of kernels and images goes. escnn gives representations and kernels; tensors are plain.

Source: Weiler and Cesa, General E(2)-equivariant steerable CNNs, 2019; the survey 2105.13926.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocore.groups.steerable_fields import Feature, Fields, Symmetry
from geocore.groups.steerable_kernels import kernel_basis
from geocore.groups.steerable_plain import FieldActivation, PlainSteerable, Segment

__all__ = ["Layer", "SteerableConvolution", "SteerableNetwork", "layout_of"]


def layout_of(fields: Fields) -> tuple[Segment, ...]:
    """How the group moves the channels, as the plain layers take it."""
    return tuple(
        Segment(
            feature.multiplicity,
            size // fields.block(i),
            fields.block(i),
            permuted,
            feature.kind == "circle",
        )
        for i, (feature, size) in enumerate(zip(fields.features, fields.sizes, strict=True))
        for permuted in (fields.is_permuted(feature),)
    )


class SteerableConvolution(nn.Module):
    """``h(p) = sum_q k(q - p) f(q) + bias`` with ``k(g p) = rho_out(g) k(p) rho_in(g)^-1``.

    ``(batch, size of fields_in, h, w)`` -> ``(batch, size of fields_out, h, w)``; zero padding, odd
    kernels. Weights mix the kernels of ``kernel_basis``; they are normal, from ``generator``, so
    that a filter's squares sum to 2 on average; a bias goes along what the group leaves alone. The
    basis is sampled in float64 and kept in ``dtype``: for a law in float64 choose it here, since
    ``.double()`` afterwards keeps the rounding. Raises ``ValueError`` for even kernels, fields of
    two groups, and where no kernel fits.
    """

    def __init__(
        self,
        fields_in: Fields,
        fields_out: Fields,
        kernel_size: int = 5,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; expected an odd number")
        if fields_in.symmetry != fields_out.symmetry:
            raise ValueError(
                f"fields_out are of {fields_out.symmetry.name}; expected {fields_in.symmetry.name}"
            )
        self.fields_in, self.fields_out, self.kernel_size = fields_in, fields_out, kernel_size
        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for o, target in enumerate(fields_out.features):
            bases = [
                kernel_basis(fields_in, i, fields_out, o, kernel_size)
                for i in range(len(fields_in.features))
            ]
            copies = [source.multiplicity for source in fields_in.features]
            squares = sum(
                many * float(basis.square().sum()) / fields_out.sizes[o]
                for many, basis in zip(copies, bases, strict=True)
            )
            if squares == 0:
                raise ValueError(
                    f"no kernel of size {kernel_size} reaches feature {o}, {target.kind} of "
                    f"frequency {target.frequency}; expected a larger one or other inputs"
                )
            for i, (many, basis) in enumerate(zip(copies, bases, strict=True)):
                shape = (target.multiplicity, many, len(basis))
                drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
                self.weights[f"{o}_{i}"] = nn.Parameter((drawn * math.sqrt(2 / squares)).to(dtype))
                self.register_buffer(f"basis_{o}_{i}", basis.to(dtype), persistent=False)
            if (constant := fields_out.constant(o)) is not None:
                self.register_buffer(f"constant_{o}", constant.to(dtype), persistent=False)
                bias = torch.zeros(target.multiplicity, dtype=dtype)
                self.biases[str(o)] = nn.Parameter(bias)

    def filters(self) -> Tensor:
        """The kernel on the pixels, ``(out, in, size, size)``."""
        rows = []
        for o in range(len(self.fields_out.features)):
            parts = [
                torch.einsum(
                    "abk,koixy->aobixy", self.weights[f"{o}_{i}"], self.get_buffer(f"basis_{o}_{i}")
                )
                .flatten(0, 1)
                .flatten(1, 2)
                for i in range(len(self.fields_in.features))
            ]
            rows.append(torch.cat(parts, dim=1))
        return torch.cat(rows, dim=0)

    def bias(self) -> Tensor:
        """Along what the group leaves alone in each field, 0 where that is nothing: ``(out,)``."""
        each = []
        for o, target in enumerate(self.fields_out.features):
            size = self.fields_out.sizes[o]
            if str(o) in self.biases:
                constant = self.get_buffer(f"constant_{o}")
                each.append((self.biases[str(o)][:, None] * constant).flatten())
            else:
                each.append(self.get_buffer(f"basis_{o}_0").new_zeros(target.multiplicity * size))
        return torch.cat(each)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.fields_in.size:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (batch, {self.fields_in.size}, h, w)"
            )
        return F.conv2d(x, self.filters(), self.bias(), padding=self.kernel_size // 2)


@dataclass(frozen=True)
class Layer:
    """A convolution to ``features``, then a nonlinearity and pooling.

    ``nonlinearity`` is for what the group turns: ``norm``, ``gated``, ``fourier`` (of circle
    features; the rest has norms) or ``none``; what it permutes has ReLU. ``relu`` refuses what
    turns. ``pool`` is ``average``, ``max`` or None.
    """

    features: tuple[Feature, ...]
    kernel_size: int = 5
    nonlinearity: str = "norm"
    pool: str | None = None


class SteerableNetwork(PlainSteerable):
    """``network(g f) = g network(f)``, with ``outputs`` ``= network(f)``; see ``PlainSteerable``.

    ``(batch, size of inputs, h, w)``, h and w odd where there is pooling. ``invariant`` is how the
    head joins what the group permutes, ``max`` or ``mean``. ``fields_out`` is what comes without a
    head. Raises ``ValueError`` for what the group does not have or what would break its law.
    """

    def __init__(
        self,
        symmetry: Symmetry,
        inputs: tuple[Feature, ...],
        layers: Sequence[Layer],
        outputs: int | None = None,
        *,
        invariant: str = "max",
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not layers:
            raise ValueError("layers is empty; expected at least one")
        self_in = Fields(symmetry, inputs)
        fields = [Fields(symmetry, layer.features) for layer in layers]
        layouts = [layout_of(one) for one in fields]
        described = [
            {
                "kernel_size": layer.kernel_size,
                "layout": [list(astuple(segment)) for segment in layout],
                "nonlinearity": layer.nonlinearity,
                "pool": layer.pool,
            }
            for layer, layout in zip(layers, layouts, strict=True)
        ]
        super().__init__(
            {"in": self_in.size, "layers": described, "invariant": invariant, "outputs": outputs}
        )
        self.symmetry, self.fields_in, self.fields_out = symmetry, self_in, fields[-1]
        before = self_in
        for number, (layer, after) in enumerate(zip(layers, fields, strict=True)):
            gates = self.activations[number]
            assert isinstance(gates, FieldActivation)
            scalars = (Feature("trivial", gates.gates),) if gates.gates else ()
            self.convolutions[number] = SteerableConvolution(
                before,
                Fields(symmetry, (*after.features, *scalars)),
                layer.kernel_size,
                generator=generator,
                dtype=dtype,
            )
            before = after
        if self.head is not None:
            *_, linear = self.head.children()
            assert isinstance(linear, nn.Linear)
            drawn = torch.randn(linear.weight.shape, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(drawn / math.sqrt(linear.in_features))
                linear.bias.zero_()
        self.to(dtype)

    def export(self) -> PlainSteerable:
        """The same function in ordinary convolutions, which no longer learn within the group.

        ``PlainSteerable(json.loads(json.dumps(plain.spec)))`` and ``load_state_dict`` build it
        again where there is no escnn.
        """
        plain = PlainSteerable(self.spec)
        own = next(self.parameters())
        plain.to(own.device, own.dtype)
        rest = {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith("convolutions.")
        }
        for number, convolution in enumerate(self.convolutions):
            assert isinstance(convolution, SteerableConvolution)
            rest[f"convolutions.{number}.weight"] = convolution.filters().detach()
            rest[f"convolutions.{number}.bias"] = convolution.bias().detach()
        plain.load_state_dict(rest)
        return plain.train(self.training)

"""The kernels that commute with a group: ``k(g p) = rho_out(g) k(p) rho_in(g)^-1``, sampled."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.groups.planar_action import moved
from geocore.groups.steerable_fields import Feature, Fields, Symmetry, gspace
from geocore.so3.escnn import import_escnn

__all__ = ["kernel_basis"]

_SMALLEST = 1e-3  # of a kernel's norm that must be new


def kernel_basis(fields_in: Fields, i: int, fields_out: Fields, o: int, size: int) -> Tensor:
    """Kernels from one copy of feature ``i`` to one of feature ``o``: ``(count, out, in, s, s)``.

    Float64; none (count 0) where no kernel that fits on the pixels commutes. escnn solves the law
    for the rotations and chooses rings and frequencies, but samples in float32. The mean over the
    elements that permute pixels, ``k -> mean_g rho_out(g) k(g^-1 p) rho_in(g)^-1``, makes the law
    exact to float64 for these, by a change of 1e-7, and where there are mirrors puts them in:
    escnn's own solution for D_n and O(2) takes random samples, and fails with scikit-learn 1.9.
    Other elements hold as far as sampling does. Nothing here is random.
    """
    pair = fields_in.features[i], fields_out.features[o]
    source, target = (replace(one, multiplicity=1) for one in pair)
    return _solved(fields_in.symmetry, source, target, size).clone()


@lru_cache(maxsize=256)  # layers of one network ask for the same again and again
def _solved(symmetry: Symmetry, source: Feature, target: Feature, size: int) -> Tensor:
    reprs = [Fields(symmetry, (one,)).representations[0] for one in (source, target)]
    found = _for_rotations(symmetry, reprs[0], reprs[1], size)
    if len(found) == 0:
        return found
    elements = symmetry.on_pixels()
    mean = torch.zeros_like(found)
    for element in elements:
        g = symmetry.element(element)
        right, left = (torch.as_tensor(one(g), dtype=torch.float64) for one in reprs)
        angle, mirrored = element
        quarter = round(angle * 2 / math.pi) + 4 * mirrored
        there = moved(PlanarGroup(4, True), quarter, found)
        mean += torch.einsum("ab,kbcxy,dc->kadxy", left, there, right) / len(elements)
    return _independent(mean) if symmetry.reflections else mean


def _for_rotations(symmetry: Symmetry, in_repr: Any, out_repr: Any, size: int) -> Tensor:
    """Kernels for the group's rotations, from escnn, which scales them alike."""
    escnn = import_escnn()
    modules = "escnn.nn.modules"
    convolution = importlib.import_module(f"{modules}.conv.r2convolution")
    grid = importlib.import_module(f"{modules}.conv.rd_convolution").get_grid_coords(2, size)
    expansion = importlib.import_module(f"{modules}.basismanager.basisexpansion_singleblock")
    keep, rings, sigma, highest = convolution.compute_basis_params(size)
    if symmetry.reflections:
        rotations = (None, -1 if symmetry.n is None else symmetry.n)
        in_repr, out_repr = in_repr.restrict(rotations), out_repr.restrict(rotations)
    try:
        basis = gspace(Symmetry(symmetry.n)).build_kernel_basis(
            in_repr, out_repr, sigma, rings, maximum_frequency=highest
        )
        # Not escnn's cache: layers would share its buffers, and one's .double() be the others'.
        block = expansion.block_basisexpansion(basis, grid, keep, recompute=True)
    except escnn.kernels.EmptyBasisException:
        return torch.zeros(0, out_repr.size, in_repr.size, size, size, dtype=torch.float64)
    found: Tensor = block.sampled_basis.double().unflatten(-1, (size, size))
    return found


def _independent(kernels: Tensor) -> Tensor:
    """Those that no earlier ones make, scaled to the norm that all had before."""
    norms = kernels.flatten(1).norm(dim=1)
    rows: list[Tensor] = []
    taken = []
    for number, norm in enumerate(norms):
        if norm < _SMALLEST:
            continue
        rest = kernels[number].flatten() / norm
        for row in rows:
            rest = rest - (rest @ row) * row
        if rest.norm() > _SMALLEST:
            rows.append(rest / rest.norm())
            taken.append(number)
    scale = math.sqrt(kernels.shape[1]) / norms[taken]
    scaled: Tensor = kernels[taken] * scale[:, None, None, None, None]
    return scaled

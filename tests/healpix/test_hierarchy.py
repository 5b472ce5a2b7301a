"""Parents and children by geometry; maps carried between resolutions keep what they must."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geocore.healpix.grid import MAX_NSIDE, Ordering, pix2vec, ring_order
from geocore.healpix.hierarchy import children, parents, ud_grade
from geocore.healpix.locate import vec2pix


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize(("nside", "levels"), [(1, 0), (2, 1), (16, 1), (16, 3), (16, 4)])
def test_a_pixel_lies_in_its_parent(nside: int, levels: int, ordering: Ordering) -> None:
    pixel = torch.arange(12 * nside**2)
    expected = vec2pix(nside >> levels, pix2vec(nside, pixel, ordering), ordering)
    assert torch.equal(parents(nside, pixel, levels, ordering), expected)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("nside", [1, 8, MAX_NSIDE // 4])
def test_children_are_those_whose_parent_it_is(nside: int, ordering: Ordering) -> None:
    generator = torch.Generator().manual_seed(0)
    pixel = torch.randint(12 * nside**2, (3, 20), generator=generator)
    for levels in (0, 1, 2):
        below = children(nside, pixel, levels, ordering)
        assert below.shape == (3, 20, 4**levels)
        above = parents(nside << levels, below, levels, ordering)
        assert torch.equal(above, pixel[..., None].expand_as(below))
        assert all(len(row.unique()) == 4**levels for row in below.flatten(0, 1))


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("out", [1, 4, 8, 32])
def test_healpy_agrees_with_what_is_missing(out: int, ordering: Ordering) -> None:
    healpy = pytest.importorskip("healpy")
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 768, 1, dtype=torch.float64, generator=generator)
    valid = torch.rand(2, 768, generator=generator) < 0.1
    found, known = ud_grade(values, out, ordering=ordering, valid=valid)
    for value, mask, mine, there in zip(values, valid, found, known, strict=True):
        theirs = healpy.ud_grade(
            torch.where(mask, value[:, 0], healpy.UNSEEN).numpy(),
            out, order_in="NEST" if ordering == "nested" else "RING",
        )  # fmt: skip
        np.testing.assert_array_equal(there, theirs != healpy.UNSEEN)
        np.testing.assert_allclose(mine[:, 0][there], theirs[there.numpy()], atol=1e-14, rtol=0)
        assert (mine[~there] == 0).all()


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("faces", [tuple(range(12)), tuple(range(8)), (0, 5, 6)])
def test_the_mean_stays_and_up_and_down_is_nothing(
    faces: tuple[int, ...], ordering: Ordering
) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, len(faces) * 64, 3, dtype=torch.float64, generator=generator)
    coarse, known = ud_grade(x, 2, faces, ordering)
    assert known.shape == (len(faces) * 4,) and known.all()
    torch.testing.assert_close(coarse.mean(dim=1), x.mean(dim=1), atol=1e-14, rtol=0)
    back, _ = ud_grade(ud_grade(x, 32, faces, ordering)[0], 8, faces, ordering)
    torch.testing.assert_close(back, x, atol=1e-15, rtol=0)
    order = ring_order(8, faces)
    if ordering == "nested":
        ring, _ = ud_grade(x[:, order], 2, faces, "ring")
        torch.testing.assert_close(ring, coarse[:, ring_order(2, faces)], atol=0, rtol=0)


def test_what_is_not_valid_does_not_count_whatever_it_holds() -> None:
    x = torch.tensor([1.0, 3.0, torch.nan, torch.inf]).repeat(12)[None, :, None]
    valid = torch.tensor([True, True, False, False]).repeat(12)
    mean, known = ud_grade(x, 1, valid=valid)
    assert (mean == 2).all() and known.all()
    mean, known = ud_grade(x, 1, valid=torch.zeros_like(valid))
    assert (mean == 0).all() and not known.any()
    x = torch.randn(1, 48, 2, dtype=torch.float64, requires_grad=True)
    ud_grade(x, 1, valid=valid)[0].sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad[0, :, 0], torch.tensor([0.5, 0.5, 0, 0]).double().repeat(12))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="levels is 3; expected 0 to 2"):
        parents(4, torch.arange(3), 3)
    with pytest.raises(ValueError, match="levels is -1; expected 0 to 18"):
        children(4, torch.arange(3), -1)
    with pytest.raises(ValueError, match="levels is 2; expected 0 to 1"):
        children(MAX_NSIDE // 2, torch.arange(3), 2)
    with pytest.raises(ValueError, match=r"x has shape \(48,\); expected"):
        ud_grade(torch.zeros(48), 1)
    with pytest.raises(TypeError, match=r"x is torch\.int64; expected a floating-point type"):
        ud_grade(torch.zeros(48, 1).long(), 1)
    with pytest.raises(ValueError, match=r"valid is torch\.bool of shape"):
        ud_grade(torch.zeros(2, 48, 1), 1, valid=torch.ones(47, dtype=torch.bool))
    with pytest.raises(ValueError, match="npix is 47; expected 12 faces"):
        ud_grade(torch.zeros(47, 1), 1)

"""escnn on geocore's Wigner matrices and Clebsch-Gordan coefficients obeys its laws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geocore import compat
from geocore.so3.escnn import clebsch_gordan, import_escnn, wigner_d_matrix

LIE_LEARN = json.loads((Path(__file__).parents[1] / "data/wigner_lie_learn.json").read_text())


def rotation_matrix(alpha: float, beta: float, gamma: float) -> NDArray[np.float64]:
    """Return Rz(alpha) Ry(beta) Rz(gamma)."""

    def about_z(angle: float) -> NDArray[np.float64]:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    c, s = np.cos(beta), np.sin(beta)
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    rotation: NDArray[np.float64] = about_z(alpha) @ about_y @ about_z(gamma)
    return rotation


def euler_angles(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the ZYZ angles of a rotation matrix whose beta is neither 0 nor pi."""
    return (
        float(np.arctan2(rotation[1, 2], rotation[0, 2])),
        float(np.arccos(rotation[2, 2])),
        float(np.arctan2(rotation[2, 1], -rotation[2, 0])),
    )


@pytest.mark.parametrize("case", LIE_LEARN["cases"], ids=lambda case: f"l={case['l']}")
def test_wigner_d_matrix_equals_lie_learn(case: dict[str, float]) -> None:
    ours = wigner_d_matrix(int(case["l"]), case["alpha"], case["beta"], case["gamma"])
    np.testing.assert_allclose(ours, np.array(case["D"]), atol=2e-14)  # 14 digits are printed


def test_first_wigner_d_matrix_is_the_rotation_on_y_z_x() -> None:
    angles = (0.4, 1.3, -2.0)
    turned = rotation_matrix(*angles)[np.ix_([1, 2, 0], [1, 2, 0])]
    np.testing.assert_allclose(wigner_d_matrix(1, *angles), turned, atol=1e-15)


@pytest.mark.parametrize("l", [1, 2, 5, 16])
def test_wigner_d_matrix_is_an_orthogonal_representation(l: int) -> None:
    first, second = (0.3, 0.7, 1.1), (2.5, 1.9, -0.4)
    product = euler_angles(rotation_matrix(*first) @ rotation_matrix(*second))
    one, two = wigner_d_matrix(l, *first), wigner_d_matrix(l, *second)
    np.testing.assert_allclose(wigner_d_matrix(l, *product), one @ two, atol=1e-13)
    np.testing.assert_allclose(one @ one.T, np.eye(2 * l + 1), atol=1e-13)


@pytest.mark.parametrize("l", [1, 4, 9])
def test_wigner_d_matrix_equals_e3nn(l: int) -> None:
    """e3nn turns about y, x, y where lie_learn turns about z, y, z: the same matrices."""
    o3 = pytest.importorskip("e3nn.o3")
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # e3nn's constants take the default
    try:
        theirs = o3.wigner_D(l, *torch.tensor([0.3, 0.7, 1.1]))
    finally:
        torch.set_default_dtype(usual)
    np.testing.assert_allclose(wigner_d_matrix(l, 0.3, 0.7, 1.1), theirs, atol=1e-13)


def test_wigner_d_matrix_broadcasts_its_angles() -> None:
    alpha, beta = np.array([[0.1], [0.2]]), np.array([0.5, 0.6, 0.7])
    batch = wigner_d_matrix(3, alpha, beta, 1.0)
    assert batch.shape == (2, 3, 7, 7)
    single = wigner_d_matrix(3, 0.2, 0.7, 1.0)
    np.testing.assert_allclose(batch[1, 2], single, atol=1e-15)


@pytest.mark.parametrize(
    ("doubled", "value"),
    [
        ((1, 1, 0, 1, -1, 0), 1 / np.sqrt(2)),
        ((1, 1, 0, -1, 1, 0), -1 / np.sqrt(2)),
        ((2, 2, 4, 0, 0, 0), np.sqrt(2 / 3)),
        ((2, 2, 2, 2, -2, 0), 1 / np.sqrt(2)),
        ((4, 2, 6, 2, 2, 4), np.sqrt(2 / 3)),
        ((3, 2, 1, 3, -2, 1), 1 / np.sqrt(2)),
        ((2, 2, 2, 0, 0, 0), 0.0),  # odd j1 + j2 + j3, all orders zero
        ((2, 2, 4, 2, 0, 0), 0.0),  # m1 + m2 is not m3
        ((2, 2, 6, 0, 0, 0), 0.0),  # no triangle
    ],
)
def test_clebsch_gordan_equals_the_tables(doubled: tuple[int, ...], value: float) -> None:
    np.testing.assert_allclose(clebsch_gordan(*doubled), value, atol=1e-15)


@pytest.mark.parametrize(("two_j1", "two_j2"), [(2, 3), (4, 4), (6, 2)])
def test_clebsch_gordan_coefficients_are_orthonormal(two_j1: int, two_j2: int) -> None:
    """Over all j3, the coefficients are an orthogonal change of basis of the product space."""
    m1 = np.arange(-two_j1, two_j1 + 1, 2)[:, None, None]
    m2 = np.arange(-two_j2, two_j2 + 1, 2)[None, :, None]
    basis = np.concatenate(
        [
            clebsch_gordan(two_j1, two_j2, two_j3, m1, m2, m3[None, None, :])
            for two_j3 in range(abs(two_j1 - two_j2), two_j1 + two_j2 + 1, 2)
            for m3 in [np.arange(-two_j3, two_j3 + 1, 2)]
        ],
        axis=2,
    ).reshape((two_j1 + 1) * (two_j2 + 1), -1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-14)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="field is 'complex'; expected 'real'"):
        wigner_d_matrix(1, 0.0, 0.0, 0.0, field="complex")
    with pytest.raises(ValueError, match="l is -1; expected 0 or more"):
        wigner_d_matrix(-1, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"2j, 2m are 2, 4; expected \|2m\| <= 2j"):
        clebsch_gordan(2, 2, 2, 4, 0, 2)
    with pytest.raises(ValueError, match="2j, 2m are 2, 1; expected"):
        clebsch_gordan(2, 2, 2, 0, 1, 1)
    with pytest.raises(TypeError, match="2j and 2m are float64; expected integers"):
        clebsch_gordan(0.5, 2, 2, 0, 0, 0)


def test_escnn_irreps_are_the_stand_ins_wigner_matrices() -> None:
    escnn = import_escnn()
    so3 = escnn.group.so3_group(3)
    angles = (0.3, 0.7, 1.1)
    element = so3.element(np.array(angles), "ZYZ")
    for l in range(4):
        ours = wigner_d_matrix(l, *angles)
        np.testing.assert_allclose(so3.irrep(l)(element), ours, atol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 1), (3, 2)])
def test_escnn_clebsch_gordan_tensors_intertwine(m: int, n: int) -> None:
    """(D^m x D^n) C^j = C^j D^j for every j, and together the C^j are orthogonal."""
    so3 = import_escnn().group.so3_group(5)
    element = so3.element(np.array([2.5, 1.9, -0.4]), "ZYZ")
    product = np.kron(so3.irrep(m)(element), so3.irrep(n)(element))
    columns = []
    for j in range(abs(m - n), m + n + 1):
        tensor = so3._clebsh_gordan_coeff((m,), (n,), (j,)).reshape(len(product), 2 * j + 1)
        np.testing.assert_allclose(product @ tensor, tensor @ so3.irrep(j)(element), atol=1e-12)
        columns.append(tensor)
    basis = np.concatenate(columns, axis=1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(len(product)), atol=1e-12)


def test_escnn_planar_convolution_is_equivariant() -> None:
    """C8, trivial to regular fields: a quarter turn moves pixels and shifts group channels."""
    escnn = import_escnn()
    space = escnn.gspaces.rot2dOnR2(8)
    trivial = escnn.nn.FieldType(space, [space.trivial_repr])
    regular = escnn.nn.FieldType(space, 3 * [space.regular_repr])
    torch.manual_seed(0)
    layer = escnn.nn.R2Conv(trivial, regular, kernel_size=5, padding=2).double().eval()
    image = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        plain = layer(escnn.nn.GeometricTensor(image, trivial)).tensor
        turned = layer(escnn.nn.GeometricTensor(image.rot90(1, (2, 3)), trivial)).tensor
    shift = torch.from_numpy(regular.representation(space.fibergroup.element(2)))
    expected = torch.einsum("ij,bjxy->bixy", shift, plain.rot90(1, (2, 3)))
    assert plain.std() > 0.01
    torch.testing.assert_close(turned, expected, atol=2e-6, rtol=0)  # its basis is float32


def test_escnn_tensor_product_is_equivariant_under_rotations() -> None:
    """A learnt product of SO(3) fields: f(D x) = D f(x), on Clebsch-Gordan coefficients."""
    escnn = import_escnn()
    so3 = escnn.group.so3_group(2)
    space = escnn.gspaces.no_base_space(so3)
    spectral = escnn.group.directsum([so3.irrep(l) for l in (0, 1, 2)])
    fields = escnn.nn.FieldType(space, [spectral])
    torch.manual_seed(0)
    layer = escnn.nn.TensorProductModule(fields, fields).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_()
    inputs = torch.randn(4, fields.size, dtype=torch.float64)
    element = so3.element(np.array([0.3, 0.7, 1.1]), "ZYZ")
    action = torch.from_numpy(fields.representation(element))
    with torch.no_grad():
        plain = layer(escnn.nn.GeometricTensor(inputs, fields)).tensor
        turned = layer(escnn.nn.GeometricTensor((inputs @ action.T).contiguous(), fields)).tensor
    assert plain.std() > 0.01
    torch.testing.assert_close(turned, plain @ action.T, atol=1e-5, rtol=0)


def test_functions_handed_in_after_escnn_are_refused() -> None:
    compat.import_escnn(wigner_d_matrix, clebsch_gordan)  # the very same: fine
    with pytest.raises(RuntimeError, match="already imported with another wigner_D_matrix"):
        compat.import_escnn(lambda *_: np.eye(1), clebsch_gordan)


def test_escnn_planar_convolution_learns() -> None:
    """C8: one step of gradient descent lowers the loss."""
    escnn = import_escnn()
    space = escnn.gspaces.rot2dOnR2(8)
    trivial = escnn.nn.FieldType(space, [space.trivial_repr])
    regular = escnn.nn.FieldType(space, 2 * [space.regular_repr])
    torch.manual_seed(0)
    # In float64 as above: escnn's layers share their filters' basis, whatever type it has.
    layer = escnn.nn.R2Conv(trivial, regular, kernel_size=5, padding=2).double()
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.05)
    image, target = torch.randn(2, 1, 9, 9).double(), torch.randn(2, 16, 9, 9).double()
    losses = []
    for _ in range(2):
        found = layer(escnn.nn.GeometricTensor(image, trivial)).tensor
        loss = (found - target).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[1] < losses[0] - 1e-4

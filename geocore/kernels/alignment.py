"""How far a kernel points the way of targets, or of another kernel."""

from __future__ import annotations

from torch import Tensor

__all__ = ["kernel_alignment", "target_alignment"]


def kernel_alignment(first: Tensor, second: Tensor, *, centred: bool = False) -> float:
    """``<K, L> / (|K| |L|)`` with Frobenius' product: 1 if one is a positive multiple of the other.

    Between 0 and 1 for positive semi-definite kernels. With ``centred`` both are ``H K H`` first,
    ``H = 1 - 11^T / n``, so that what all samples share counts for nothing: centred kernel
    alignment (CKA), 0 if one of them is constant.

    Two floating ``(n, n)`` on one device. Raises ``ValueError`` for other shapes, an entry that is
    not finite, and (not centred) a kernel of zeros. Source: Cristianini et al. (2001); centred
    Cortes et al., arXiv:1203.0550.
    """
    for name, kernel in (("first", first), ("second", second)):
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape != first.shape:
            found = tuple(kernel.shape)
            raise ValueError(f"{name} has shape {found}; expected (n, n), equal to the other's")
        if kernel.numel() == 0 or not bool(kernel.isfinite().all()):
            raise ValueError(f"{name} is empty or has entries that are not finite; expected none")
    one, two = first.double(), second.double()
    sizes = one.norm() * two.norm()
    if float(sizes) == 0:
        raise ValueError("a kernel is all zeros; expected one with a direction")
    if centred:
        one, two = _centred(one), _centred(two)
        # What is left of a constant kernel is rounding, which has no direction.
        if float(one.norm() * two.norm()) <= 1e-14 * float(sizes):
            return 0.0
    return float((one * two).sum() / (one.norm() * two.norm()))


def target_alignment(kernel: Tensor, targets: Tensor, *, centred: bool = False) -> float:
    """``<K, y y^T> / (|K| |y y^T|)``, for several outputs with ``y y^T = sum_a y_a y_a^T``.

    ``kernel (n, n)``, a tangent kernel's ``trace`` form; ``targets (n,)`` or ``(n, outputs)``.
    Raises ``ValueError`` for other shapes and as ``kernel_alignment``. As a network learns its
    tangent kernel turns towards the targets: Baratin et al., arXiv:2008.00938.
    """
    if targets.ndim not in (1, 2) or len(targets) != len(kernel):
        found = tuple(targets.shape)
        raise ValueError(f"targets has shape {found}; expected ({len(kernel)},) or (n, outputs)")
    y = targets.double().reshape(len(targets), -1)
    return kernel_alignment(kernel, y @ y.mT, centred=centred)


def _centred(kernel: Tensor) -> Tensor:
    rows = kernel - kernel.mean(dim=0, keepdim=True)
    return rows - rows.mean(dim=1, keepdim=True)

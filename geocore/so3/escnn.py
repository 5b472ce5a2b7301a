"""escnn on geocore's own angular momentum: the two functions that it takes from dead packages."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geocore import compat
from geocore.so3.coupling import coefficient, couple
from geocore.so3.wigner import wigner_D

__all__ = ["clebsch_gordan", "import_escnn", "wigner_d_matrix"]


def import_escnn() -> ModuleType:
    """The package escnn, which gets its Wigner matrices and Clebsch-Gordan coefficients from here.

    Raises ``UserError`` if it is not installed, ``RuntimeError`` if it was imported before with
    other functions (``geocore.compat.import_escnn``).
    """
    return compat.import_escnn(wigner_d_matrix, clebsch_gordan)


def wigner_d_matrix(
    l: int, alpha: ArrayLike, beta: ArrayLike, gamma: ArrayLike, field: str = "real"
) -> NDArray[np.float64]:
    """``D^l(alpha, beta, gamma)`` in the real basis, as lie_learn calls it: ``D(R S) = D(R) D(S)``.

    Radians, about z, y and z; the three broadcast. lie_learn's convention is geocore's: real basis,
    quantum normalisation, orders -l..l, Condon-Shortley phase. Returns ``(..., 2l+1, 2l+1)``.
    Raises ``ValueError`` for a negative degree and for a ``field`` other than ``"real"``, the only
    one that escnn asks for.
    """
    if field != "real":
        raise ValueError(f"field is {field!r}; expected 'real'")
    a, b, c = (torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in (alpha, beta, gamma))
    return np.ascontiguousarray(wigner_D(int(l), a, b, c, "real").numpy())


def clebsch_gordan(
    two_j1: ArrayLike,
    two_j2: ArrayLike,
    two_j3: ArrayLike,
    two_m1: ArrayLike,
    two_m2: ArrayLike,
    two_m3: ArrayLike,
) -> NDArray[np.float64]:
    """``<j1 m1 j2 m2 | j3 m3>`` as py3nj calls it: twice the spins and orders, which broadcast.

    Zero unless ``m1 + m2 = m3`` and the spins couple; the result has the arguments' common shape.
    Raises ``ValueError`` for a negative 2j, for |m| > j, and where j and m are not both integers or
    half-integers; ``TypeError`` for arrays that hold no integers.
    """
    arrays = (two_j1, two_j2, two_j3, two_m1, two_m2, two_m3)
    spins_and_orders = np.broadcast_arrays(*(np.asarray(array) for array in arrays))
    for array in spins_and_orders:
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"2j and 2m are {array.dtype}; expected integers")
    for spin, order in zip(spins_and_orders[:3], spins_and_orders[3:], strict=True):
        wrong = (np.abs(order) > spin) | ((spin - order) % 2 != 0)
        if wrong.any():
            raise ValueError(
                f"2j, 2m are {spin[wrong][0]}, {order[wrong][0]}; "
                "expected |2m| <= 2j, both even or both odd"
            )
    flat = np.stack([array.ravel() for array in spins_and_orders], axis=1).tolist()
    values = [_entry(*row) for row in flat]
    return np.array(values, dtype=np.float64).reshape(spins_and_orders[0].shape)


def _entry(j1: int, j2: int, j3: int, m1: int, m2: int, m3: int) -> float:
    if m1 + m2 != m3 or not couple(j1, j2, j3):
        return 0.0
    return coefficient(j1, j2, j3, m1, m2)

"""What unmaintained dependencies need in order to run on today's stack, in one place, with why.

Each ``import_*`` function prepares the ground and returns the imported package. They are called
where the package is used, so that ``import geocore`` never pays for them. This file imports no
room of geocore: the mathematics that a stand-in needs is handed in.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocore.errors import UserError

__all__ = [
    "clebsch_gordan",
    "import_escnn",
    "import_hls4ml",
    "import_neural_tangents",
    "wigner_d_matrix",
]

WignerD = Callable[..., NDArray[np.float64]]
ClebschGordan = Callable[..., NDArray[np.float64]]

LIE_LEARN = "lie_learn.representations.SO3.wigner_d"


def import_escnn(
    wigner_d_matrix: WignerD | None = None, clebsch_gordan: ClebschGordan | None = None
) -> ModuleType:
    """Import escnn with stand-ins for ``lie_learn`` and ``py3nj``.

    escnn 1.0.11 takes one function of each. lie_learn is dead: built against numpy 1, it does not
    import on numpy 2. py3nj needs a Fortran compiler, and the numerical path that escnn takes
    without it breaks on scikit-learn 1.9. So both are left out of the environment, and modules
    that hold just these two functions are registered under their names before escnn is imported.

    Args:
        wigner_d_matrix: ``f(l, alpha, beta, gamma, field="real")``, lie_learn's convention; by
            default :func:`wigner_d_matrix` below.
        clebsch_gordan: ``f(two_j1, two_j2, two_j3, two_m1, two_m2, two_m3)`` on arrays; by default
            :func:`clebsch_gordan` below.

    Raises:
        UserError: escnn is not installed.
        RuntimeError: escnn was imported before, with other functions than those handed in now.
    """
    chosen = {
        (LIE_LEARN, "wigner_D_matrix"): wigner_d_matrix or globals()["wigner_d_matrix"],
        ("py3nj", "clebsch_gordan"): clebsch_gordan or globals()["clebsch_gordan"],
    }
    if "escnn" in sys.modules:
        handed_in = {"wigner_D_matrix": wigner_d_matrix, "clebsch_gordan": clebsch_gordan}
        for module, name in chosen:
            present = getattr(sys.modules.get(module), name, None)
            if handed_in[name] is not None and handed_in[name] is not present:
                raise RuntimeError(
                    f"escnn is already imported with another {name}; "
                    "expected import_escnn to be called with it before the first import of escnn"
                )
        return sys.modules["escnn"]
    _require("escnn", "pip install 'geocore[escnn]' && pip install --no-deps escnn==1.0.11")
    for (module, name), function in chosen.items():
        setattr(_register(module), name, function)
    return importlib.import_module("escnn")


def import_neural_tangents() -> ModuleType:
    """Import neural-tangents without tensorflow.

    ``neural_tangents/__init__.py`` imports its ``experimental`` package, whose one content is an
    empirical kernel for tensorflow: hundreds of megabytes for something that is not used here. An
    empty module of that name is registered first. neural-tangents 0.6.5 is the last release and
    imports on jax 0.5.3 at most. Never choose ``implementation=3`` of its empirical NTK: with
    jax 0.4.30 and later its results are wrong.

    Raises:
        UserError: neural-tangents is not installed, or jax is newer than 0.5.3.
    """
    if "neural_tangents" in sys.modules:
        return sys.modules["neural_tangents"]
    _require(
        "neural_tangents",
        "pip install 'geocore[kernels]' && pip install --no-deps neural-tangents==0.6.5",
    )
    jax_version = importlib.import_module("jax").__version__
    if tuple(int(part) for part in jax_version.split(".")[:3]) > (0, 5, 3):
        raise UserError(f"jax is {jax_version}; neural-tangents expects jax 0.5.3 or older")
    _register("neural_tangents.experimental")
    return importlib.import_module("neural_tangents")


def import_hls4ml() -> ModuleType:
    """Import hls4ml so that a later import of keras takes torch as its backend.

    hls4ml's converters import keras where they meet a keras model, and keras 3 imports tensorflow
    unless ``KERAS_BACKEND`` names another backend before its own first import. A backend that the
    user has chosen stays.

    Raises:
        UserError: hls4ml is not installed.
    """
    _require("hls4ml", "pip install 'geocore[firmware]'")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return importlib.import_module("hls4ml")


def wigner_d_matrix(
    l: int, alpha: ArrayLike, beta: ArrayLike, gamma: ArrayLike, field: str = "real"
) -> NDArray[np.float64]:
    r"""Wigner's D^l(alpha, beta, gamma) in the real basis: D(R S) = D(R) D(S), D D^T = 1.

    .. math:: D^l = \bar C\, e^{-i\alpha J_z} e^{-i\beta J_y} e^{-i\gamma J_z}\, C^T

    with the unitary C from complex to real spherical harmonics. The convention is lie_learn's:
    rotation Rz(alpha) Ry(beta) Rz(gamma), quantum normalisation, orders m = -l..l, Condon-Shortley
    phase; so D^1 is the rotation matrix itself on the axes (y, z, x).

    Args:
        l: degree, 0 or more.
        alpha: first Euler angle in radians, about z; the three broadcast.
        beta: second, about y.
        gamma: third, about z.
        field: ``"real"``, the only one that escnn asks for.

    Returns:
        shape ``(..., 2l+1, 2l+1)``, float64.
    """
    if field != "real":
        raise ValueError(f"field is {field!r}; expected 'real'")
    if l < 0:
        raise ValueError(f"l is {l}; expected 0 or more")
    orders = np.arange(-l, l + 1)
    ladder = np.sqrt(l * (l + 1) - orders[:-1] * (orders[:-1] + 1.0))
    momentum_y = np.diag(ladder, -1) / 2j - np.diag(ladder, 1) / 2j
    # J_y's eigenvalues are the orders, and eigh sorts them: the exponential costs no series.
    _, vectors = np.linalg.eigh(momentum_y)

    def phase(angle: ArrayLike) -> NDArray[np.complex128]:
        return np.exp(-1j * np.multiply.outer(np.asarray(angle, dtype=np.float64), orders))

    to_real = _real_from_complex(l).conj()
    left = (to_real * phase(alpha)[..., None, :]) @ vectors
    right = vectors.conj().T @ (phase(gamma)[..., :, None] * to_real.conj().T)
    return np.ascontiguousarray(((left * phase(beta)[..., None, :]) @ right).real)


def clebsch_gordan(
    two_j1: ArrayLike,
    two_j2: ArrayLike,
    two_j3: ArrayLike,
    two_m1: ArrayLike,
    two_m2: ArrayLike,
    two_m3: ArrayLike,
) -> NDArray[np.float64]:
    """Clebsch-Gordan coefficients <j1 m1 j2 m2 | j3 m3>, Condon-Shortley phase.

    Zero unless m1 + m2 = m3 and |j1 - j2| <= j3 <= j1 + j2. The calling convention is py3nj's:
    twice the spins and orders, as integers that broadcast; the result has their common shape.

    Raises:
        ValueError: a 2j is negative, |m| > j, or j and m are not both integers or half-integers.
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
    values = [_clebsch_gordan(*row) for row in flat]
    return np.array(values, dtype=np.float64).reshape(spins_and_orders[0].shape)


@lru_cache(maxsize=1 << 16)
def _clebsch_gordan(j1: int, j2: int, j3: int, m1: int, m2: int, m3: int) -> float:
    """Return one coefficient, from sympy's exact arithmetic (arguments doubled)."""
    if m1 + m2 != m3 or not abs(j1 - j2) <= j3 <= j1 + j2 or (j1 + j2 + j3) % 2:
        return 0.0
    from sympy import Rational
    from sympy.physics.wigner import clebsch_gordan as exact

    return float(exact(*(Rational(value, 2) for value in (j1, j2, j3, m1, m2, m3))))


def _real_from_complex(l: int) -> NDArray[np.complex128]:
    """Return C of Y_real = C Y_complex, rows and columns m = -l..l, Condon-Shortley phase."""
    basis = np.zeros((2 * l + 1, 2 * l + 1), dtype=np.complex128)
    basis[l, l] = 1.0
    for m in range(1, l + 1):
        sign = (-1) ** m
        basis[l + m, [l - m, l + m]] = np.array([1, sign]) / math.sqrt(2)
        basis[l - m, [l - m, l + m]] = np.array([1j, -1j * sign]) / math.sqrt(2)
    return basis


def _register(name: str) -> ModuleType:
    """Put an empty module into ``sys.modules``; return it.

    An import looks there for the full name first, so the packages above it need not exist.
    """
    module = sys.modules[name] = ModuleType(name)
    return module


def _require(package: str, command: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{package} is not installed; expected it here: {command}")

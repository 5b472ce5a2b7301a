"""What unmaintained dependencies need in order to run on today's stack, in one place, with why.

Each ``import_*`` function prepares the ground and returns the imported package. They are called
where the package is used, so that ``import geocore`` never pays for them. This file imports no
room of geocore: the mathematics that a stand-in needs is handed in.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from geocore.errors import UserError

__all__ = ["import_escnn", "import_hls4ml", "import_neural_tangents"]

WignerD = Callable[..., NDArray[np.float64]]
ClebschGordan = Callable[..., NDArray[np.float64]]

LIE_LEARN = "lie_learn.representations.SO3.wigner_d"


def import_escnn(wigner_d_matrix: WignerD, clebsch_gordan: ClebschGordan) -> ModuleType:
    """Import escnn with stand-ins for ``lie_learn`` and ``py3nj``.

    escnn 1.0.11 takes one function of each. lie_learn is dead: built against numpy 1, it does not
    import on numpy 2. py3nj needs a Fortran compiler, and the numerical path that escnn takes
    without it breaks on scikit-learn 1.9. So both are left out of the environment, and modules
    that hold just these two functions are registered under their names before escnn is imported.

    ``geocore.so3.escnn.import_escnn()`` is this with geocore's own two functions.

    Args:
        wigner_d_matrix: ``f(l, alpha, beta, gamma, field="real")``, lie_learn's convention.
        clebsch_gordan: ``f(two_j1, two_j2, two_j3, two_m1, two_m2, two_m3)`` on arrays.

    Raises:
        UserError: escnn is not installed.
        RuntimeError: escnn was imported before, with other functions than those handed in now.
    """
    chosen = {
        (LIE_LEARN, "wigner_D_matrix"): wigner_d_matrix,
        ("py3nj", "clebsch_gordan"): clebsch_gordan,
    }
    if "escnn" in sys.modules:
        for (module, name), function in chosen.items():
            if getattr(sys.modules.get(module), name, None) is not function:
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


def _register(name: str) -> ModuleType:
    """Put an empty module into ``sys.modules``; return it.

    An import looks there for the full name first, so the packages above it need not exist.
    """
    module = sys.modules[name] = ModuleType(name)
    return module


def _require(package: str, command: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{package} is not installed; expected it here: {command}")

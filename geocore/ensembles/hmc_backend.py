"""jax and numpyro, imported where a chain is run, on the CPU."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from geocore.errors import UserError

__all__ = ["jax_cpu"]

_COMMAND = "pip install 'geocore[posterior]'"


def jax_cpu(threads: int = 0) -> Any:
    """The CPU of jax, whose pool has ``threads`` threads (0: as many as there are).

    jax has one pool a process and starts it at its first use: a process that has used jax before
    keeps what it has. Raises ``UserError`` where jax or numpyro is not installed.
    """
    for package in ("jax", "numpyro"):
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise UserError(f"{package} is not installed; expected it here: {_COMMAND}")
    wanted = {"NPROC": str(threads)} if threads else {}  # what the backend reads, in jax 0.5
    if "jax" not in sys.modules and "JAX_PLATFORMS" not in os.environ:
        wanted["JAX_PLATFORMS"] = "cpu"  # no look for accelerators, and no word of their absence
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        import jax

        return jax.devices("cpu")[0]
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

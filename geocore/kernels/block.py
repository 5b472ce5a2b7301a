"""The kernels of one pair of batches, by one compiled function for all pairs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from geocore.compat import import_neural_tangents
from geocore.kernels.network import Architecture, infinite_network

__all__ = ["BlockKernel"]

Array = npt.NDArray[np.float64]


class BlockKernel:
    """``K(x_i, x'_j)`` and ``Theta(x_i, x'_j)`` of batches of one shape, in float64 on the CPU.

    Compiled at the first call: a second for a few layers, but as the square of their number grows,
    half a minute for 32. ``shape`` is that of a batch, ``(batch, ...)`` as
    ``architecture.as_input`` gives it. jax has one pool of threads a process: it gets
    ``threads`` of them (0: as many as there are) unless this process has used jax before. Equal
    bytes need equal threads.
    """

    def __init__(
        self, architecture: Architecture, shape: tuple[int, ...], threads: int = 0
    ) -> None:
        self.architecture, self.shape, self._threads = architecture, shape, threads

    def __call__(self, left: Array, right: Array) -> dict[str, Array]:
        """``nngp`` and ``ntk``, ``(batch, batch)``, and the NNGP's diagonals of both batches.

        These are ``left`` and ``right``, ``(batch,)``: ``K(x_i, x_i)`` and ``K(x'_j, x'_j)``. The
        tangent kernel of an input with itself is exact to 1e-8 only: a rounding of ``K`` by 1e-16
        turns the angle between the two by its root.

        Raises ``ValueError`` for other shapes, ``UserError`` where neural-tangents is not
        installed. A network that is too deep for its weights overflows: entries are not finite.
        """
        for name, batch in (("left", left), ("right", right)):
            if batch.shape != self.shape or batch.dtype != np.float64:
                raise ValueError(
                    f"{name} is {batch.dtype} of shape {batch.shape}; expected float64 {self.shape}"
                )
        return self._compiled(left, right)

    @cached_property
    def _compiled(self) -> Callable[[Array, Array], dict[str, Array]]:
        device = _cpu(self._threads)
        import jax
        from jax.experimental import enable_x64

        kernel = infinite_network(self.architecture)[2]

        def both(left: Any, right: Any) -> Any:
            # The variances of each batch travel with the kernel: after the last layer they are
            # the NNGP's diagonals.
            found = kernel(left, right, get=("nngp", "ntk", "cov1", "cov2"))
            return {"nngp": found.nngp, "ntk": found.ntk, "left": found.cov1, "right": found.cov2}

        compiled = jax.jit(both)

        def evaluate(left: Array, right: Array) -> dict[str, Array]:
            # Here and not for the whole process, which may hold other jax code.
            with enable_x64(), jax.default_device(device):
                return {name: np.array(value) for name, value in compiled(left, right).items()}

        return evaluate


def _cpu(threads: int) -> Any:
    """The CPU of jax; its backend is started with so many threads if it does not run yet."""
    wanted = {"NPROC": str(threads)} if threads else {}  # what the backend reads, in jax 0.5
    if "jax" not in sys.modules and "JAX_PLATFORMS" not in os.environ:
        wanted["JAX_PLATFORMS"] = "cpu"  # no look for accelerators, and no word of their absence
    with _environment(wanted):
        import_neural_tangents()
        import jax

        return jax.devices("cpu")[0]


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

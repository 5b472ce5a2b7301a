"""Blocks of a kernel matrix on the workers of a Dask cluster, where one machine is too small.

A block is one task: the kernel and two batches go there, and two matrices come back; the store
keeps them here. No file system is shared.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocore.kernels.block import kernel_block
from geocore.kernels.composed import Kernels
from geocore.kernels.protocol import PairKernel
from geocore.runs.closure import code_digest
from geocore.runs.cluster import Cluster, made_by, other_than

__all__ = ["AT_ONCE", "DaskBlocks", "compute_block"]

AT_ONCE = 64  # blocks that the scheduler is asked for at a time


class DaskBlocks:
    """Blocks computed on ``cluster`` with the code of ``modules``, to the bytes of a block here.

    So they are on processors of one kind: a block is computed by one thread.
    """

    def __init__(self, cluster: Cluster, modules: Collection[str]) -> None:
        self.cluster = cluster
        self._modules = sorted(modules)
        self._made_by = made_by(code_digest(self._modules))

    def block(self, kernel: PairKernel, x1: Tensor, x2: Tensor | None) -> Kernels:
        """``kernel_block``, on a worker.

        Raises ``ValueError`` as that does, ``UserError`` for a worker of other code or libraries
        and as ``Cluster`` does, ``RuntimeError`` if workers died again and again.
        """
        request = {
            "kernel": kernel,
            "x1": x1.numpy(),
            "x2": None if x2 is None else x2.numpy(),
            "modules": self._modules,
            "made_by": self._made_by,
        }
        answer = self.cluster.ask(compute_block, request, f"a block of {len(x1)} samples")
        if "refused" in answer:
            raise ValueError(answer["refused"])
        return Kernels(*(torch.from_numpy(np.array(values)) for values in answer["kernels"]))


def compute_block(request: dict[str, Any]) -> dict[str, Any]:
    """The task, on a worker: the two matrices, or what is wrong in words."""
    if (other := other_than(request["made_by"], code_digest(request["modules"]))) is not None:
        return {"error": [other]}
    torch.set_num_threads(1)
    x1, x2 = (
        None if x is None else torch.from_numpy(np.array(x)) for x in (request["x1"], request["x2"])
    )
    assert x1 is not None
    try:
        kernels = kernel_block(request["kernel"], x1, x2)
    except ValueError as error:
        return {"refused": str(error)}
    return {"kernels": [values.numpy() for values in kernels]}

"""The body of ``ntk``: kernels in cached blocks, regression with each, and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from geocore.config.ntk import NtkParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.kernels.heads import ClassificationHead
from geocore.kernels.network import (
    dense_inputs,
    dense_network,
    healpix_inputs,
    healpix_network,
)
from geocore.kernels.protocol import PairKernel
from geocore.kernels.regression import Regressor, ensemble_limit, posterior
from geocore.kernels.solver import regressor
from geocore.kernels.stax import NeuralTangentsKernel
from geocore.kernels.subset import stratified_order
from geocore.pipeline.kernel_blocks import StoredKernels
from geocore.pipeline.kernel_cost import KernelTask
from geocore.pipeline.kernel_results import (
    RegressedSplit,
    Regression,
    SplitKernels,
    write_results,
)
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.types import labelled_maps
from geocore.train.feed import Feed, table_feed

__all__ = ["kernel_twin", "planned_kernels"]

_HELD_OUT = ("val", "test")


def kernel_twin(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Regress with NNGP and NTK, and write everything that the stage gives into ``folder``.

    ``wanted`` is the type that the stage requires of its table. Maps go in as the trained network
    takes them: from 0 to 1, and 0 where there is no image. A block of the kernels is a part.
    Returns the headline, the files' digests and the parts' keys. Raises ``UserError`` for an input
    that is not finite, a label that is no class, a subset larger than the training split, maps too
    coarse for the network, and a kernel that has no regression.
    """
    params = job.section(NtkParams)
    feeds, table = _opened(job, wanted)
    classes = table.info.classes
    chosen, inputs = _inputs(job, feeds)
    gram, crosses, parts = _kernels(job, inputs)
    labels = feeds["train"].labels[chosen]
    regressions = [
        _regress(name, params, len(classes), labels, gram, crosses, feeds)
        for name in ("nngp", "ntk")
    ]
    subset = (feeds["train"].ids[chosen], labels)
    written = write_results(folder, regressions, gram, crosses, subset, len(feeds["train"]))
    return {**written, "parts": parts}


def planned_kernels(job: Job) -> list[KernelTask]:
    """What the stage would compute, for an estimate; raises what ``kernel_twin`` does."""
    feeds, _ = _opened(job, labelled_maps(job.sections))
    return _planned(job, _inputs(job, feeds)[1])


def _opened(job: Job, wanted: TableType) -> tuple[dict[str, Feed], Table]:
    table = Table.open(job.input("healpix"), wanted, verify=True)
    table.require_finite()
    where, classes = job.stage.takes["healpix"].path, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    if len(classes) < 2:
        raise UserError(f"{where}: names one class, {classes[0]}; expected at least two")
    cpu = torch.device("cpu")
    feeds = {split: table_feed(table, split, cpu) for split in ("train", *_HELD_OUT)}
    for feed in feeds.values():
        feed.require_classes(len(classes), where)
    _require_fit(job, len(feeds["train"]), table.info.type, where)
    return feeds, table


def _inputs(job: Job, feeds: Mapping[str, Feed]) -> tuple[Tensor, dict[str, Tensor]]:
    """Which training samples are learned from, and the maps ``(n, pixels, channels)`` a split."""
    params = job.section(NtkParams)
    order = stratified_order(feeds["train"].labels.numpy(), params.seed)
    chosen = torch.from_numpy(order[: params.subset])
    places = {split: torch.arange(len(feeds[split])) for split in _HELD_OUT} | {"train": chosen}
    return chosen, {split: feeds[split](place)[0] for split, place in places.items()}


def _require_fit(job: Job, training: int, kind: TableType, where: str) -> None:
    params = job.section(NtkParams)
    if params.subset > training:
        raise UserError(
            f"{job.params_file}: ntk.subset is {params.subset}; expected an integer from 1 to the "
            f"{training} training samples of {where}"
        )
    nside = kind.nside or 0
    if params.network == "healpix" and nside % 2**params.depth:
        raise UserError(
            f"{job.params_file}: ntk.depth is {params.depth} and the maps of {where} have nside "
            f"{nside}; "
            f"expected an nside of at least {2**params.depth} for so many levels of patches"
        )


def _planned(job: Job, inputs: Mapping[str, Tensor]) -> list[KernelTask]:
    """The kernels of the stage, of ``inputs`` (``train`` and each held-out split) as maps."""
    params = job.section(NtkParams)
    stds = {"weight_std": params.weight_std, "bias_std": params.bias_std}
    build = dense_network if params.network == "dense" else healpix_network
    network = build(params.depth, params.activation, **stds)
    ready = {
        split: dense_inputs(maps)
        if params.network == "dense"
        else healpix_inputs(maps, params.depth)
        for split, maps in inputs.items()
    }
    kernel: PairKernel = network
    # No batch is larger than what there is to learn from.
    size = min(params.block, len(ready["train"]))
    if params.backend == "neural_tangents":
        kernel = NeuralTangentsKernel(network, batch=size)
    train = ready["train"]
    crosses = [KernelTask(split, kernel, ready[split], train, size) for split in _HELD_OUT]
    return [KernelTask("train", kernel, train, None, size), *crosses]


def _kernels(
    job: Job, inputs: Mapping[str, Tensor]
) -> tuple[SplitKernels, dict[str, SplitKernels], list[str]]:
    """Of the chosen training samples, of each held-out split with them, and the parts' keys."""
    gram, *crosses = _planned(job, inputs)
    tasks = [gram, *crosses]
    with job.progress.bar("ntk", sum(task.blocks for task in tasks)) as bar:
        stored = StoredKernels(job, block=gram.block, dtype=gram.dtype, bar=bar)
        found = {}
        for task in tasks:
            if task.columns is None:
                kernels = stored.symmetric(task.kernel, task.rows, name=task.name)
            else:
                kernels = stored.cross(task.kernel, task.rows, task.columns, name=task.name)
            diagonal = stored.diagonal(task.kernel, task.rows).nngp
            found[task.name] = SplitKernels(*kernels, diagonal)
    return found.pop("train"), found, stored.parts


def _regress(
    name: str,
    params: NtkParams,
    classes: int,
    labels: Tensor,
    gram: SplitKernels,
    crosses: Mapping[str, SplitKernels],
    feeds: Mapping[str, Feed],
) -> Regression:
    head = ClassificationHead(classes)
    y = head.targets(labels)
    matrix = gram.nngp if name == "nngp" else gram.ntk
    named = f"the {name} of the {len(y)} training samples"
    solver = regressor(matrix, params.ridge, solver=params.solver, name=named)
    found = {}
    for split, cross in crosses.items():
        if name == "nngp":
            mean, variance = posterior(solver, cross.nngp, cross.diagonal, y)
        else:
            mean, variance = ensemble_limit(
                solver, cross.ntk, cross.diagonal, y, nngp=gram.nngp, nngp_cross=cross.nngp
            )
        found[split] = RegressedSplit(feeds[split].ids, feeds[split].labels, mean, variance)
    head = head.fitted(found["val"].mean, found["val"].labels)
    if isinstance(solver, Regressor):
        eigenvalues = torch.linalg.eigvalsh(matrix).flip(0)
    else:  # where no factor fits, no spectrum does
        eigenvalues = solver.preconditioner.values
    return Regression(name, solver, eigenvalues, head, found)

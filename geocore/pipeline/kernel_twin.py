"""The body of ``ntk``: kernels in cached blocks, regression with each, and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from geocore.config.ntk import NtkParams
from geocore.config.runtime import RuntimeParams
from geocore.data.table import Table
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.kernels.block import BlockKernel
from geocore.kernels.network import Architecture
from geocore.kernels.regression import Regressor, ensemble_limit, posterior, targets
from geocore.kernels.subset import stratified_order
from geocore.measure.temperature import fit_temperature
from geocore.pipeline.kernel_blocks import Batches, BlockedKernel, Kernels
from geocore.pipeline.kernel_results import RegressedSplit, Regression, write_results
from geocore.pipeline.stage import Job, Manifest
from geocore.train.feed import Feed, table_feed

__all__ = ["kernel_twin"]

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
    table = Table.open(job.input("healpix"), wanted, verify=True)
    table.require_finite()
    where, classes = job.stage.takes["healpix"].path, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    cpu = torch.device("cpu")
    feeds = {split: table_feed(table, split, cpu) for split in ("train", *_HELD_OUT)}
    for feed in feeds.values():
        feed.require_classes(len(classes), where)
    _require_fit(job, len(feeds["train"]), table.info.type, where)

    order = stratified_order(feeds["train"].labels.numpy(), params.seed)
    chosen = torch.from_numpy(order[: params.subset])
    gram, crosses, parts = _kernels(job, feeds, chosen)
    labels = feeds["train"].labels[chosen]
    regressions = [
        _regress(name, params.ridge, len(classes), labels, gram, crosses, feeds)
        for name in ("nngp", "ntk")
    ]
    subset = (feeds["train"].ids[chosen], labels)
    written = write_results(folder, regressions, gram, crosses, subset, len(feeds["train"]))
    return {**written, "parts": parts}


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


def _kernels(
    job: Job, feeds: Mapping[str, Feed], chosen: torch.Tensor
) -> tuple[Kernels, dict[str, Kernels], list[str]]:
    """Of the chosen training samples, of each held-out split with them, and the blocks' keys."""
    params = job.section(NtkParams)
    architecture = Architecture(
        params.network, params.depth, params.activation, params.weight_std, params.bias_std
    )
    # A batch is filled up to its size, so none larger than what there is.
    size = min(params.block, max(len(chosen), *(len(feeds[split]) for split in _HELD_OUT)))
    training = Batches(feeds["train"], chosen, size, architecture)
    held_out = {
        split: Batches(feeds[split], torch.arange(len(feeds[split])), size, architecture)
        for split in _HELD_OUT
    }
    kernel = BlockKernel(architecture, training[0].shape, job.section(RuntimeParams).threads)
    total = len(training) * (len(training) + 1) // 2
    total += len(training) * sum(len(batches) for batches in held_out.values())
    with job.progress.bar("ntk", total) as bar:
        blocked = BlockedKernel(job, kernel, bar)
        gram = blocked.symmetric(training)
        crosses = {split: blocked.cross(held_out[split], training) for split in _HELD_OUT}
    return gram, crosses, blocked.parts


def _regress(
    name: str,
    ridge: float,
    classes: int,
    labels: torch.Tensor,
    gram: Kernels,
    crosses: Mapping[str, Kernels],
    feeds: Mapping[str, Feed],
) -> Regression:
    y = targets(labels, classes)
    matrix = gram.nngp if name == "nngp" else gram.ntk
    regressor = Regressor.of(matrix, ridge, name=f"the {name} of the {len(y)} training samples")
    found = {}
    for split, cross in crosses.items():
        if name == "nngp":
            mean, variance = posterior(regressor, cross.nngp, cross.diagonal, y)
        else:
            mean, variance = ensemble_limit(
                regressor, cross.ntk, cross.diagonal, y, nngp=gram.nngp, nngp_cross=cross.nngp
            )
        found[split] = RegressedSplit(feeds[split].ids, feeds[split].labels, mean, variance)
    temperature = fit_temperature(found["val"].mean, found["val"].labels)
    return Regression(name, regressor, torch.linalg.eigvalsh(matrix).flip(0), temperature, found)

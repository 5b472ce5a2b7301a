"""The body of ``cost``: networks as ``model.json`` tells them -> a table of costs, a chart.

A network is built anew, with random weights, and fed random numbers of its input's form: what it
costs does not depend on what it has learned. Studies below that differ in data, labels' names or
seed alone have the same network, which is measured once.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from geocore.config.cost import CostParams
from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.healpix.draw import write_png
from geocore.models.registry import ModelInfo, build
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.stopwatch import machine, seconds
from geocore.pipeline.summaries import without_seed
from geocore.report.line_chart import Mark, line_chart
from geocore.runs.atomic import replacing, write_text
from geocore.runs.digest import digest_json, digest_path
from geocore.train.device import resolve
from geocore.train.objective import recorded
from geocore.train.optimiser import make_optimiser
from geocore.train.randomness import deterministic

__all__ = ["NetworkCost", "measure", "network_cost", "networks"]


@dataclass(frozen=True)
class NetworkCost:
    """Numbers that a network learns, seconds of a training step, and of an inference by batch."""

    parameters: int
    step: float
    latency: Mapping[int, float]


def measure(job: Job) -> Manifest:
    """Write ``table.csv`` and ``latency.png``, both or none; the machine goes to the ledger.

    Raises ``UserError`` for a ``model.json`` that train did not write, where there is none, and for
    a device that this machine lacks.
    """
    params, runtime = job.section(CostParams), job.section(RuntimeParams)
    device = resolve(runtime.device)
    different = networks({name: _read(path, job.root) for name, path in job.each("models").items()})
    if not different:
        raise UserError(
            f"stage cost: deps name no {job.stage.takes['models'].path} of a study below; "
            "expected at least one"
        )
    found: dict[str, NetworkCost] = {}
    job.note(device=str(device), machine=machine(device))
    with job.progress.bar("cost", len(different)) as bar:
        for name, (info, _) in different.items():
            found[name] = network_cost(info, params, device)
            bar.advance(note=name)
    with ExitStack() as all_or_none:
        table, picture = (
            all_or_none.enter_context(replacing(job.output(name))) for name in ("table", "latency")
        )
        shared = {name: len(studies) for name, (_, studies) in different.items()}
        write_text(table, _table(found, shared, params))
        curves = {
            name: [Mark(batch, 1000 * taken) for batch, taken in cost.latency.items()]
            for name, cost in found.items()
        }
        title = f"Inference on {device.type}: latency by batch size"
        write_png(picture, line_chart(curves, title, "samples at once", "milliseconds"))
    outputs = [job.output(name) for name in job.stage.gives]
    return {
        "files": {path.name: digest_path(path) for path in outputs},
        "networks": len(different),
    }


def networks(infos: Mapping[str, ModelInfo]) -> dict[str, tuple[ModelInfo, list[str]]]:
    """``{network: (what it is, the studies that have it)}``, each that differs once.

    It is called by its studies' group and last component, ``GROUP/LAST``, without seed, where they
    agree in those and no other network is called so; else by the path of the first of them.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(infos):
        alike.setdefault(_form(infos[name]), []).append(name)
    short = [{_short(name) for name in studies} for studies in alike.values()]
    found = {}
    for studies, names in zip(alike.values(), short, strict=True):
        alone = len(names) == 1 and sum(bool(names & others) for others in short) == 1
        found[next(iter(names)) if alone else studies[0]] = (infos[studies[0]], studies)
    return found


def network_cost(info: ModelInfo, params: CostParams, device: torch.device) -> NetworkCost:
    """The cost of a network of float32 on ``device``, with as many threads as torch has now.

    A training step is forward, loss, backward and AdamW; no data is read. Inference is a forward
    pass in evaluation mode without gradients. Both have deterministic kernels, as ``train`` and
    ``evaluate`` do, and are medians over ``params.repeats`` timings.
    """
    model = build(info.params, info.type, info.outputs, seed=0, dense=info.dense).to(device)
    with deterministic(0, device):
        step = seconds(
            _step(model, info, params.train_batch, device), params.repeats, device=device
        )
        model.eval()
        latency: dict[int, float] = {}
        with torch.inference_mode():
            for batch in params.batch_sizes:
                images = torch.rand(batch, *info.type.shape, device=device)

                def answer(images: Tensor = images) -> None:
                    model(images)

                latency[batch] = seconds(answer, params.repeats, device=device)
    return NetworkCost(sum(p.numel() for p in model.parameters()), step, latency)


def _step(
    model: nn.Module, info: ModelInfo, batch: int, device: torch.device
) -> Callable[[], None]:
    """A training step on one random batch, over and over."""
    objective = recorded(info.task, info.objective, info.classes)
    optimiser = make_optimiser(model, lr=1e-4, weight_decay=0.01)
    images = torch.rand(batch, *info.type.shape, device=device)
    each = images.shape[:-1] if info.dense else images.shape[:1]
    target = (
        1 + torch.rand(each, device=device)  # metres
        if info.task == "depth"
        else torch.randint(len(info.classes), each, device=device)
    )
    model.train()

    def step() -> None:
        optimiser.zero_grad()
        objective.loss(model(images), target).loss.backward()
        optimiser.step()

    return step


def _read(path: Path, root: Path) -> ModelInfo:
    where = path.relative_to(root).as_posix()
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{where}: not JSON; expected what train wrote") from None
    return ModelInfo.from_json(value, where)


def _form(info: ModelInfo) -> str:
    """A digest of what its cost depends on."""
    told = info.to_json()
    kind = {key: value for key, value in told["type"].items() if key not in ("dtype", "label_kind")}
    same = {"params": told["params"], "type": kind}
    return digest_json({**same, "task": info.task, "outputs": info.outputs})


def _short(name: str) -> str:
    group, _, rest = without_seed(name).partition("/")
    return f"{group}/{rest.rpartition('/')[2]}" if rest else group


def _table(found: Mapping[str, NetworkCost], shared: Mapping[str, int], params: CostParams) -> str:
    """A row a network: four digits of a time are more than it repeats."""
    header = ["network", "studies", "parameters", f"train_samples_per_second_{params.train_batch}"]
    header += [f"latency_ms_{batch}" for batch in params.batch_sizes]
    header += [f"samples_per_second_{batch}" for batch in params.batch_sizes]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for name, cost in found.items():
        row: Sequence[float] = [
            params.train_batch / cost.step,
            *(1000 * taken for taken in cost.latency.values()),
            *(batch / taken for batch, taken in cost.latency.items()),
        ]
        writer.writerow([name, shared[name], cost.parameters, *(f"{value:.4g}" for value in row)])
    return stream.getvalue()

"""Members of an ensemble as one program against a loop over modules: a step, and its memory.

    python benchmarks/ensembles.py
    python benchmarks/ensembles.py --repeats 9

One thread, float32, processor time. A step is: a batch of each member's own order, forward,
backward, clipping of each gradient by its own norm, Adam. The named peer is the loop that everybody
writes: standard modules, ``torch.optim.Adam``, ``clip_grad_norm_``; without clipping too, and with
the fused Adam. That freed memory stays in the process (``programs.py``) holds for the loops too, as
they run in the same one.

The networks: the toy of 2212.08123, 2-10-10-2, 64 members, at batch 64 and at its full batch 2000;
two small CNNs of two convolutions with maxima between and a linear layer, 1-8-16 channels, on
images of 28 x 28 and (``stochastic_cnn``) of 8 x 8, 8 members, batch 64, against the loop in
torch's default layout and in channels-last.

Memory: what the stack holds of a member, in KiB: weights, gradients, two moments, best weights.
Activations, and the copies of what convolutions see, come and go with a block of members.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import nn

from geocore.ensembles.engine import Samples, start_ensemble, train_ensemble
from geocore.ensembles.losses import CrossEntropy
from geocore.ensembles.plan import Plan
from geocore.models.stochastic.networks import stochastic_cnn

Steps = Callable[[int], Callable[[], object]]
"""So many epochs from the start, ready to be run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("network", "members", "batch", "way", "step, ms", "loop / ours", "KiB a member")
    table.title = f"one thread, float32, torch {torch.__version__}"
    for name, build, members, batch, data in (
        ("MLP 2-10-10-2", toy, 64, 64, plane(2000)),
        ("MLP 2-10-10-2", toy, 64, 2000, plane(2000)),
        ("CNN 1-8-16, 28 x 28", cnn, 8, 64, images(512, 28)),
        ("CNN 1-8-16, 8 x 8", small_cnn, 8, 64, images(512, 8)),
    ):
        ways: dict[str, Steps] = {
            "as one program": stacked(build, members, batch, data),
            "loop": loop(build, members, batch, data),
            "loop, fused Adam": loop(build, members, batch, data, fused=True),
            "loop, no clipping": loop(build, members, batch, data, clip=False),
        }
        if build is not toy:
            ways["loop, channels last"] = loop(build, members, batch, data, last=True)
        taken = best(ways, chosen.repeats, -(-len(data) // batch))
        for way, seconds in taken.items():
            own = way == "as one program"
            table.add_row(
                name, str(members), str(batch), way, f"{1e3 * seconds:.2f}",
                "" if own else f"{seconds / taken['as one program']:.2f}",
                f"{kibibytes(build):.1f}" if own else "",
            )  # fmt: skip
    Console(width=110).print(table)


def toy(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2)]
    return nn.Sequential(*layers)


def cnn(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 10),
    )  # fmt: skip


def small_cnn(seed: int) -> nn.Module:
    return stochastic_cnn(1, 8, 10, "none", widths=(8, 16), seed=seed)


def plane(count: int) -> Samples:
    x = torch.rand(count, 2) * torch.tensor([3.0, 6.0]) - torch.tensor([0.0, 3.0])
    return Samples(x, (x.norm(dim=1) >= 2.4).long())


def images(count: int, side: int) -> Samples:
    return Samples(torch.rand(count, 1, side, side), torch.randint(10, (count,)))


def stacked(build: Callable[[int], nn.Module], members: int, batch: int, data: Samples) -> Steps:
    """Ours."""

    def ready(epochs: int) -> Callable[[], object]:
        plan = Plan(epochs=epochs, batch_size=batch, lr=0.01, clip_norm=1.0)
        state = start_ensemble(build, range(members), plan)
        return lambda: train_ensemble(state, data, None, CrossEntropy())

    return ready


def kibibytes(build: Callable[[int], nn.Module]) -> float:
    """Weights, gradients, two moments and the best weights of a member."""
    return 5 * 4 * sum(p.numel() for p in build(0).parameters()) / 1024


def loop(
    build: Callable[[int], nn.Module], members: int, batch: int, data: Samples, *,
    fused: bool = False, clip: bool = True, last: bool = False,
) -> Steps:  # fmt: skip
    """The loop over standard modules and optimisers."""

    def ready(epochs: int) -> Callable[[], object]:
        models = [build(seed) for seed in range(members)]
        if last:
            for model in models:
                model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimisers = [torch.optim.Adam(m.parameters(), lr=0.01, fused=fused) for m in models]

        def run() -> None:
            for _ in range(epochs):
                epoch(models, optimisers)

        return run

    def epoch(models: list[nn.Module], optimisers: list[torch.optim.Adam]) -> None:
        orders = [torch.randperm(len(data)).split(batch) for _ in models]
        for step in range(len(orders[0])):
            for model, optimiser, order in zip(models, optimisers, orders, strict=True):
                x, y = data(order[step])
                if last:
                    x = x.to(memory_format=torch.channels_last)
                loss = F.cross_entropy(model(x), y)
                optimiser.zero_grad()
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()

    return ready


def best(ways: dict[str, Steps], repeats: int, steps: int) -> dict[str, float]:
    """Seconds of a step, the best of ``repeats`` turns in which each way has some epochs."""
    found = dict.fromkeys(ways, float("inf"))
    for turn in range(-1, repeats):  # the first is not counted
        for name, way in ways.items():
            epochs = max(1, (200 if name == "as one program" else 20) // steps)
            run = way(epochs)
            start = time.process_time()
            run()
            seconds = (time.process_time() - start) / (epochs * steps)
            found[name] = min(found[name], seconds) if turn >= 0 else found[name]
    return found


if __name__ == "__main__":
    main()

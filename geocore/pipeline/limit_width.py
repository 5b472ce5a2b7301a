"""Task ``width``: the kernels of finite networks tend to the infinite one's as ``width^(-1/2)``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.limit import WidthLimit
from geocore.kernels.composed import InfiniteNetwork, Kernels
from geocore.kernels.protocol import described
from geocore.pipeline.limit_networks import dense_network, invariant_network, plain_network
from geocore.pipeline.limit_results import LimitResults, told
from geocore.pipeline.limit_twins import drawn_kernels, smooth_images
from geocore.pipeline.orbit_figures import slope
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.report.line_chart import Mark, line_chart
from geocore.runs.digest import digest_bytes
from geocore.runs.store import Piece

__all__ = ["measured", "networks", "relative_errors"]

_CODE = "geocore.pipeline.limit_twins"
Errors = Mapping[str, Mapping[int, tuple[float, float]]]
"""By kernel and width: the error of one draw, and that of the mean over draws."""


def measured(job: Job, params: WidthLimit) -> LimitResults:
    """Relative errors by network, kernel and width, and their slopes."""
    x = smooth_images(params.inputs, params.image_size, params.seed)
    parts: list[str] = []
    found: dict[str, Errors] = {}
    with job.progress.bar("limit: draws", len(params.widths) * len(networks())) as bar:
        for name, network in networks().items():
            exact = network.kernel(x)
            by_width: dict[int, Kernels] = {}
            for width in params.widths:
                bar.start_at(bar_place(params, found, width), f"{name}, width {width}")
                part = _part(job, params, network, x, width)
                parts.append(part.key)
                by_width[width] = Kernels(**load_file(part.file("kernels.safetensors")))
            found[name] = {
                kernel: {
                    width: relative_errors(getattr(drawn, kernel), getattr(exact, kernel))
                    for width, drawn in by_width.items()
                }
                for kernel in Kernels._fields
            }
    return LimitResults(
        _document(params, found),
        ("network", "kernel", "width", "draws", "error", "error_of_mean"),
        [
            [name, kernel, width, params.draws, *errors]
            for name, kernels in found.items()
            for kernel, widths in kernels.items()
            for width, errors in widths.items()
        ],
        {
            "width": line_chart(
                {
                    f"{name}, {kernel}": [Mark(width, e[0]) for width, e in widths.items()]
                    for name, kernels in found.items()
                    for kernel, widths in kernels.items()
                },
                "How far a finite network's kernels are from the infinite one's",
                "channels of each hidden layer",
                "relative error of one draw",
            )
        },
        parts=parts,
    )


def networks() -> dict[str, InfiniteNetwork]:
    """A dense one, a convolutional one, and one over C4: two hidden layers each."""
    return {
        "dense": dense_network(2),
        "convolutional": plain_network(2),
        "C4": invariant_network(2, 4),
    }


def relative_errors(drawn: Tensor, exact: Tensor) -> tuple[float, float]:
    """Of ``drawn (draws, n, n)``: ``|K_d - K| / |K|``, root mean square over draws; of their mean.

    The first is the fluctuation of one network, which falls as ``width^(-1/2)``; the second holds
    what is left of it over ``sqrt(draws)``, and the bias, which falls as ``1 / width``.
    """
    length = exact.square().sum()
    one = ((drawn - exact).square().sum(dim=(1, 2)) / length).mean().sqrt()
    mean = ((drawn.mean(dim=0) - exact).square().sum() / length).sqrt()
    return float(one), float(mean)


def bar_place(params: WidthLimit, found: Mapping[str, Any], width: int) -> int:
    """How many parts come before."""
    return len(found) * len(params.widths) + params.widths.index(width)


def _document(params: WidthLimit, found: Mapping[str, Errors]) -> dict[str, Any]:
    slopes: list[float] = []
    told_of: dict[str, Any] = {}
    for name, kernels in found.items():
        for kernel, widths in kernels.items():
            fitted = slope(list(widths), [errors[0] for errors in widths.values()])
            slopes += [] if fitted is None else [fitted]
            told_of.setdefault(name, {})[kernel] = {
                "slope": told(fitted, 3),
                "errors": {str(width): told(errors[0]) for width, errors in widths.items()},
                "errors_of_mean": {str(width): told(errors[1]) for width, errors in widths.items()},
            }
    return {
        "draws": params.draws,
        "slope": {"least": told(min(slopes), 3), "greatest": told(max(slopes), 3)},
        "networks": told_of,
    }


def _part(job: Job, params: WidthLimit, network: InfiniteNetwork, x: Tensor, width: int) -> Piece:
    def fill(folder: Path) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the last bits hang on how sums are parted
        try:
            drawn = drawn_kernels(network, x, width, params.draws, params.seed)
        finally:
            torch.set_num_threads(threads)
        kernels = {name: k.contiguous() for name, k in drawn._asdict().items()}
        save_file(kernels, folder / "kernels.safetensors")

    return make_part(
        job,
        "limit-width",
        fill,
        parameters={
            "network": described(network),
            "width": width,
            "draws": params.draws,
            "seed": params.seed,
        },
        inputs={"x": digest_bytes(x.numpy().tobytes())},
        code=[_CODE],
    )

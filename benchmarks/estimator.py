"""The estimator against yosys: what was fitted, and what was not.

    python benchmarks/estimator.py
    python benchmarks/estimator.py --measure kernel held --write
    python benchmarks/estimator.py --forget window --measure window --write

Without ``--measure`` the runs in ``results/estimator_runs.jsonl`` are read and none is made.
``--write`` fits them anew into ``geocore/edge/estimate_table.py``; where a module's Verilog has
changed, its runs are to be forgotten and made again. Held-out kernels are never fitted. Where
``GEOCORE_DATA`` has ``zcu102/enet_runs.csv``, hls4ml's designs are fitted to it, and else told as
they are shipped. What came stands in ``results/estimator.txt``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from estimator_draws import COUNTS, HELD, dense_tables, drawn_node, kernel_shape, parameters  # type: ignore[import-not-found]
from rich.console import Console
from rich.table import Table

from geocore.edge.estimate import estimate
from geocore.edge.estimate_fit import (
    KernelModels,
    KernelRun,
    PartRun,
    fit_kernels,
    fit_parts,
    synthesise_kernels,
    synthesise_parts,
)
from geocore.edge.estimate_model import PartModel, Sum
from geocore.edge.estimate_parts import Part, features
from geocore.edge.hls_estimate import HlsDesign, fit_table, published
from geocore.edge.kernel_size import KernelSize
from geocore.edge.kernels import Kernel, adder_kernel
from geocore.edge.nodes import Dense

HERE = Path(__file__).parent
RUNS = HERE / "results" / "estimator_runs.jsonl"
TABLE = HERE.parent / "geocore" / "edge" / "estimate_table.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--measure",
        nargs="*",
        default=[],
        help="kinds of parts, kernel, adders (without yosys), held",
    )
    parser.add_argument("--forget", nargs="*", default=[], help="parts whose Verilog has changed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=150.0, help="after which none is begun")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--nodes", type=Path, help="the folder of benchmarks/chip_enet.py")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    until = time.monotonic() + chosen.seconds
    lines = RUNS.read_text(encoding="utf-8").splitlines(keepends=True)
    RUNS.write_text("".join(n for n in lines if json.loads(n)["kind"] not in chosen.forget))
    for kind in chosen.measure:
        if kind == "held":
            held_out(until)
        elif kind in ("kernel", "adders"):
            measure_kernels(chosen.seed, until, yosys=kind == "kernel")
        else:
            measure_parts(kind, chosen.seed, until)
    parts, kernels, held = read_runs()
    models, counts = fit_parts(parts), fit_kernels(kernels)
    if chosen.write:
        TABLE.write_text(written(models, counts), encoding="utf-8")
    show(models, counts, parts, kernels, held)
    if chosen.nodes:
        show_nodes(chosen.nodes / "netlists")


# Runs


def read_runs() -> tuple[list[PartRun], list[KernelRun], dict[str, KernelRun]]:
    parts: list[PartRun] = []
    kernels: list[KernelRun] = []
    held: dict[str, KernelRun] = {}
    for line in RUNS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] != "kernel":
            parts.append(PartRun(Part(row["kind"], row["parameters"]), row["lut"], row["ff"]))
            continue
        numbers = {key: row[key] for key in ("levels", "adders", "registers", "latency")}
        run = KernelRun(KernelSize(**row["size"]), **numbers, lut=row["lut"], ff=row["ff"])
        if "held" in row:
            held[row["held"]] = run
        elif run.adders > 100:
            kernels.append(run)
            if run.lut is not None and run.ff is not None:
                parts.append(PartRun(run.part, run.lut, run.ff))
    return parts, kernels, held


def append(rows: list[dict[str, object]]) -> None:
    with RUNS.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def measure_parts(kind: str, seed: int, until: float) -> None:
    draw = random.Random(f"{kind} {seed}")
    at_once = 3 if kind == "dense" else 14
    drawn = [parameters(kind, draw) for _ in range(COUNTS[kind])]
    for first in range(0, len(drawn), at_once):
        if time.monotonic() > until:
            return
        some = drawn[first : first + at_once]
        tables: dict[str, str] = {}
        parts = []
        for n, values in enumerate(some):
            names: dict[str, object] = {}
            if kind == "dense":
                names = {"WEIGHTS": f"w{n}.hex", "BIASES": f"b{n}.hex"}
                tables |= dense_tables(n, values, draw)
            parts.append(Part(kind, values | names))
        with tempfile.TemporaryDirectory() as folder:
            found = synthesise_parts(parts, Path(folder), tables)
        append(
            [
                {"kind": kind, "parameters": values, "lut": r.lut, "ff": r.ff}
                for values, r in zip(some, found, strict=True)
            ]
        )


def measure_kernels(seed: int, until: float, yosys: bool) -> None:
    """Count them all by alkaid; of about one in three, as far as time goes, by yosys as well."""
    draw = random.Random(seed)
    waiting: list[tuple[Dense, Kernel, int]] = []
    rows = []
    for n in range(400):
        outputs, inputs = kernel_shape(draw)
        chosen = (outputs, inputs, draw.randint(1, 8), draw.randint(1, 8),
                  draw.choice([0, 0, 0.3, 0.5, 0.5, 0.7, 0.9]))  # fmt: skip
        node = drawn_node(chosen, seed=draw.randrange(10**9), signed=draw.random() < 0.2,
                          biased=draw.random() < 0.75)  # fmt: skip
        if not node.weight.any():
            continue
        levels = draw.choice([4, 4, 4, 2, 3, 6, 8])
        kernel = adder_kernel(f"kernel_{n}", node, node.weight, levels=levels)
        if yosys and n % 3 == 0 and 15 < kernel.adders < 3500 and chosen[3] > 1:
            waiting.append((node, kernel, levels))
        else:
            rows.append(kernel_row(node, kernel, levels))
        if sum(k.adders for _, k, _ in waiting) > 5000:
            synthesise_waiting(waiting)
            waiting.clear()
        if time.monotonic() > until:
            break
    append(rows)
    if waiting:
        synthesise_waiting(waiting)


def synthesise_waiting(waiting: list[tuple[Dense, Kernel, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = synthesise_kernels([kernel for _, kernel, _ in waiting], Path(folder))
    append(
        [
            kernel_row(node, kernel, levels) | {"lut": r.lut, "ff": r.ff}
            for (node, kernel, levels), r in zip(waiting, found, strict=True)
        ]
    )


def held_out(until: float) -> None:
    _, _, known = read_runs()
    for n, (name, chosen) in enumerate(HELD.items()):
        if name in known or time.monotonic() > until:
            continue
        node = drawn_node(chosen, seed=1000 + n)
        kernel = adder_kernel("held", node, node.weight)
        with tempfile.TemporaryDirectory() as folder:
            (found,) = synthesise_kernels([kernel], Path(folder))
        row = kernel_row(node, kernel, 4) | {"lut": found.lut, "ff": found.ff, "held": name}
        append([row])


def kernel_row(node: Dense, kernel: Kernel, levels: int) -> dict[str, object]:
    counts = {"adders": kernel.adders, "registers": kernel.registers, "latency": kernel.latency}
    size = asdict(KernelSize.of(node))
    return {"kind": "kernel", "size": size, "levels": levels, **counts, "lut": None, "ff": None}


# What is shipped and shown


def written(models: dict[str, PartModel], counts: KernelModels) -> str:
    def told(found: Sum) -> str:
        terms = "".join(f'        "{key}": {value},\n' for key, value in found.coefficients.items())
        return f"Sum(\n    {{\n{terms}    }},\n    {found.error},\n    {found.rows},\n)"

    lines = [
        '"""Coefficients of the estimator, fitted by ``benchmarks/estimator.py --write``."""\n',
        "from __future__ import annotations\n",
        "from collections.abc import Mapping\n",
        "from geocore.edge.estimate_model import PartModel, Sum\n",
        '__all__ = ["ADDERS", "LATENCY", "PARTS", "REGISTERS"]\n',
        "PARTS: Mapping[str, PartModel] = {",
        *(
            f'    "{kind}": PartModel(lut={told(model.lut)}, ff={told(model.ff)}),'
            for kind, model in models.items()
        ),
        "}",
        f"ADDERS = {told(counts.adders)}",
        f"REGISTERS = {told(counts.registers)}",
        f"LATENCY = {told(counts.latency)}",
    ]
    return "\n".join(lines) + "\n"


def show(
    models: dict[str, PartModel],
    counts: KernelModels,
    parts: list[PartRun],
    kernels: list[KernelRun],
    held: dict[str, KernelRun],
) -> None:
    console = Console(width=110)
    table = Table(
        title="parts: relative error against yosys, root mean square (left out of the fit)"
    )
    for head in ("part", "runs", "LUT fitted", "LUT left out", "FF fitted", "FF left out"):
        table.add_column(head, justify="left" if head == "part" else "right")
    for kind, model in models.items():
        alike = [run for run in parts if run.part.kind == kind]
        rows = [features(run.part) for run in alike]
        inside = []
        for fitted, values in (
            (model.lut, [run.lut for run in alike]),
            (model.ff, [run.ff for run in alike]),
        ):
            off = [(fitted(row) - y) / max(y, 10) for row, y in zip(rows, values, strict=True)]
            inside.append(math.sqrt(np.mean(np.square(off))))
        table.add_row(
            kind, str(len(alike)), f"{inside[0]:.3f}", f"{model.lut.error:.3f}",
            f"{inside[1]:.3f}", f"{model.ff.error:.3f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"from weights alone, left out of the fit, against alkaid, {len(kernels)} kernels: adders "
        f"{counts.adders.error:.3f}, registers {counts.registers.error:.3f}"
    )
    table = Table(title="kernels that were never fitted: LUT by yosys, and by the estimator")
    for head in ("kernel", "yosys", "alkaid counted", "error", "from weights", "error", "FF error"):
        table.add_column(head, justify="left" if head == "kernel" else "right")
    errors = []
    for name, run in held.items():
        assert run.lut is not None and run.ff is not None
        adders = math.exp(counts.adders(run.size.features()))
        guessed = Part("kernel", dict(run.part.parameters) | {"ADDERS": adders})
        found = [models["kernel"].lut(features(part)) for part in (run.part, guessed)]
        wrong = [value / run.lut - 1 for value in found]
        ff = models["kernel"].ff(features(run.part)) / run.ff - 1
        errors.append(wrong)
        table.add_row(
            name, f"{run.lut}", f"{found[0]:.0f}", f"{wrong[0]:+.1%}", f"{found[1]:.0f}",
            f"{wrong[1]:+.1%}", f"{ff:+.1%}",
        )  # fmt: skip
    console.print(table)
    if errors:
        mean, most = np.abs(errors).mean(axis=0), np.abs(errors).max(axis=0)
        console.print(
            f"mean {mean[0]:.1%} counted, {mean[1]:.1%} from weights; at most {most[0]:.1%}, "
            f"{most[1]:.1%}"
        )
    show_hls(console)


def show_nodes(folder: Path) -> None:
    """Whole modules of the mixed ENet, as far as ``chip_enet.py`` has synthesised them."""
    from chip_enet import network  # type: ignore[import-not-found]

    model, _ = network("mixed", 8, 1)
    start = time.perf_counter()
    found = estimate(model)
    took = time.perf_counter() - start
    table = Table(title=f"modules of ENet, {len(model.nodes)} nodes estimated in {took:.2f} s")
    for head in ("module", "LUT by yosys", "from weights", "error", "FF by yosys", "error"):
        table.add_column(head, justify="left" if head == "module" else "right")
    known: list[tuple[float, float]] = []
    for path in sorted(folder.glob("enet_*.json")):
        name = path.stem.removeprefix("enet_").rsplit("_", 1)[0]
        if name not in found.areas:
            continue
        counted, area = json.loads(path.read_text(encoding="utf-8")), found.areas[name]
        known.append((counted["lut"], area.lut.value))
        table.add_row(
            name, f"{counted['lut']}", f"{area.lut.value:.0f} +- {area.lut.error:.0f}",
            f"{area.lut.value / counted['lut'] - 1:+.1%}", f"{counted['ff']}",
            f"{area.ff.value / counted['ff'] - 1:+.1%}",
        )  # fmt: skip
    console = Console(width=110)
    console.print(table)
    yosys, guess = (sum(column) for column in zip(*known, strict=True))
    console.print(
        f"these {len(known)} together: {yosys:.0f} by yosys, {guess / yosys - 1:+.1%}; all: "
        f"{found.total.lut.value:.0f} +- {found.total.lut.error:.0f} LUT"
    )


def show_hls(console: Console) -> None:
    path = Path(os.environ.get("GEOCORE_DATA", "")) / "zcu102" / "enet_runs.csv"
    there = path.is_file()
    model = fit_table(path) if there else published()
    title = "hls4ml: mean absolute relative error, left out one by one, and by filters and bits"
    table = Table(title=f"{title} ({path.name if there else 'as shipped'})")
    for head in ("column", "runs", "one", "cell", "largest", "by filters"):
        table.add_column(head, justify="left" if head == "column" else "right")
    for name, error in model.errors.items():
        shares = [
            f"{value:.1%}"
            for value in (error.left_one, error.left_cell, error.largest, error.left_filters)
        ]
        table.add_row(name, str(error.rows), *shares)
    console.print(table)
    design = HlsDesign(8, 7, 10, 8, 8)
    start = time.perf_counter()
    found = model.predict(design)
    console.print(f"{design}: {found['lut_percent']:.1f} % LUT")
    console.print(f"a prediction takes {1e6 * (time.perf_counter() - start):.0f} us")


if __name__ == "__main__":
    main()

"""A QONNX file as a chip's C++ sources, by hls4ml; every width derived, none guessed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geocore.compat import import_hls4ml
from geocore.edge.description import QuantisedModel
from geocore.edge.nodes import Weighted
from geocore.edge.tools import quiet_import

__all__ = ["PROJECT", "FirmwareOptions", "write_firmware"]

PROJECT = "student"
_WEIGHTED = {"Conv2D", "Dense"}
_PLAIN = {"Activation", "Input", "Pooling2D", "Reshape", "ZeroPadding2D"}
_DESCRIBED = {"Conv": "convolution", "MatMul": "dense"}


@dataclass(frozen=True)
class FirmwareOptions:
    """How a network is laid out: hls4ml's own words, the clock period in nanoseconds."""

    io_type: Literal["io_parallel", "io_stream"]
    strategy: Literal["Latency", "Resource"]
    reuse_factor: int
    backend: Literal["Vitis", "Vivado"]
    clock_period: float
    part: str


def write_firmware(
    file: Path, model: QuantisedModel, options: FirmwareOptions, folder: Path, log: Path
) -> dict[str, int]:
    """Write the sources of the network in the QONNX ``file`` into ``folder``.

    ``model`` is its description. From it come the widths that hls4ml is told: images are
    ``model.input`` (so they must be put on that grid first), and accumulators and results of each
    layer are ``Weighted.accumulator``, which no sum can leave. Equal arguments give equal
    files, wherever the folder is: hls4ml's random stamp is fixed, and its record of the
    conversion, which holds paths and Python objects, is not written. What hls4ml says goes to the
    end of ``log``.

    Returns each layer's reuse factor: the largest of those that the layer's shape allows, up to
    ``options.reuse_factor``. With strategy Resource a factor above the fan-in is never taken, as
    hls4ml's kernels then compute something else without a word. Raises ``RuntimeError`` if
    hls4ml did not take over a width or a weight.
    """
    package: Any = import_hls4ml()
    wrapper: Any = quiet_import("qonnx.core.modelwrapper")
    graph = wrapper.ModelWrapper(str(file))
    nodes = [node for node in graph.graph.node if node.op_type in _DESCRIBED]
    kinds = [layer.kind for layer in model.weighted]
    if [_DESCRIBED[node.op_type] for node in nodes] != kinds:
        raise ValueError(f"{file} holds {[node.op_type for node in nodes]}; expected {kinds}")
    layers = {node.name: layer for node, layer in zip(nodes, model.weighted, strict=True)}
    with log.open("a", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        config = package.utils.config_from_onnx_model(
            graph, granularity="name", backend=options.backend
        )
        config["Model"]["Strategy"] = options.strategy
        config["LayerName"][graph.graph.input[0].name]["Precision"] = str(model.input)
        reuse = {}
        for name, layer in layers.items():
            reuse[layer.name] = _reuse_factor(package, layer, options)
            about = config["LayerName"].setdefault(name, {})
            # A dense layer whose result is settled here would not take its bias in: the sum would
            # become a layer of its own. What hls4ml infers is checked to be wide enough.
            width = str(layer.accumulator)
            result = width if layer.kind == "convolution" else "auto"
            about["Precision"] = {"accum": width, "result": result}
            about |= {"ReuseFactor": reuse[layer.name], "Strategy": options.strategy}
        converted = package.converters.convert_from_onnx_model(
            graph,
            hls_config=config,
            output_dir=str(folder),
            project_name=PROJECT,
            backend=options.backend,
            io_type=options.io_type,
            clock_period=options.clock_period,
            part=options.part,
            # The same weights as text, which the library reads: compiled in, 8,000 of them take
            # g++ a minute. A vendor's tool takes those of the headers.
            write_weights_txt=True,
        )
        _require_taken_over(converted, model, options.strategy)
        _write(package, converted, options.backend)
    (folder / "tb_data").rmdir()  # empty, so that no version control would bring it back
    return reuse


def _reuse_factor(package: Any, layer: Weighted, options: FirmwareOptions) -> int:
    outputs = len(layer.weight)
    if options.strategy == "Latency":
        return min(options.reuse_factor, layer.fan_in * outputs)
    backend = package.backends.get_backend(options.backend)
    allowed = backend.get_valid_reuse_factors(layer.fan_in, outputs)
    most = min(options.reuse_factor, layer.fan_in)
    factor: int = max(factor for factor in allowed if factor <= most)
    return factor


def _require_taken_over(converted: Any, model: QuantisedModel, strategy: str) -> None:
    """What hls4ml will write against the description: widths, and weights number by number.

    Activations round to the nearest, ties to even, and saturate. Samples alone would not show a
    width that a rare image leaves.
    """
    nodes = list(converted.get_layers())
    for node in nodes:
        if node.class_name not in _WEIGHTED | _PLAIN:
            raise RuntimeError(f"hls4ml: made a {node.class_name} of {node.name}; expected none")
    grids = [model.input, *(layer.output for layer in model.weighted if layer.output is not None)]
    activations = [node for node in nodes if node.class_name == "Activation"]
    for node, grid in zip(activations, grids, strict=True):
        width = str(node.get_output_variable().type.precision)
        if width != (rounded := f"{str(grid)[:-1]},RND_CONV,SAT,0>"):
            raise RuntimeError(f"hls4ml: {node.name} gives {width}; expected {rounded}")
    found = [node for node in nodes if node.class_name in _WEIGHTED]
    for node, layer in zip(found, model.weighted, strict=True):
        wanted = {
            "accum_t": layer.accumulator,
            "result_t": layer.accumulator,
            "weight_t": layer.weight_format,
            "bias_t": layer.bias_format,
        }
        for name, format_ in wanted.items():
            width = node.types[name].precision
            spare = width.integer - format_.integer_bits, width.fractional - format_.fraction
            if min(spare) < 0 or (max(spare) > 0 and name != "result_t"):
                raise RuntimeError(f"hls4ml: {name} of {node.name} is {width}; expected {format_}")
        # Channels-last, the outputs behind; with Resource before, which is how it reads them.
        weight = layer.weight.permute(0, 2, 3, 1) if layer.weight.ndim == 4 else layer.weight
        if strategy == "Latency":
            weight = weight.movedim(0, -1)
        pairs = (
            ("weight", weight, layer.weight_format.step),
            ("bias", layer.bias, layer.bias_format.step),
        )
        for name, integers, step in pairs:
            values = np.asarray(node.weights[name].data, dtype=np.float64)
            if not np.array_equal(values, integers.double().numpy() * step):
                raise RuntimeError(f"hls4ml: {name} of {node.name} is not the description's")


def _write(package: Any, converted: Any, backend: str) -> None:
    writer = package.writer.get_writer(backend)
    writer.write_yml = lambda _: None
    converted.config.config["Stamp"] = PROJECT
    writer.write_hls(converted)

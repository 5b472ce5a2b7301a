"""A QONNX file as a chip's C++ sources, by hls4ml; every width derived, none guessed."""

from __future__ import annotations

import contextlib
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from geocore.compat import import_hls4ml
from geocore.edge.description import QuantisedModel
from geocore.edge.firmware_options import FirmwareOptions
from geocore.edge.nodes import IMAGES, Add, Concatenate, Convolution, Dense, Weighted
from geocore.edge.preflight import preflight, require_unrolled
from geocore.edge.taken_over import layer_name, left_out, paths, require_taken_over, rounded, seen
from geocore.edge.tools import quiet_import
from geocore.errors import UserError

__all__ = ["PROJECT", "FirmwareOptions", "write_firmware"]

PROJECT = "student"


def write_firmware(
    file: Path,
    model: QuantisedModel,
    options: FirmwareOptions,
    folder: Path,
    log: Path,
    queues: Mapping[tuple[str, str], int] | None = None,
    *,
    trace: bool = False,
) -> dict[str, int]:
    """Write the sources of the network in the QONNX ``file`` into ``folder``.

    ``model`` is its description. From it come the widths that hls4ml is told: images and what nodes
    give are on their grids, and accumulators are ``Weighted.accumulator``, which no sum can leave.
    ``queues`` are depths of streams in pixels, by the two nodes between which they lie; others keep
    hls4ml's own, a whole image. With ``trace`` the library that is compiled of the sources can tell
    what every node gives; a vendor's tool sees none of it. Equal arguments give equal files,
    wherever the folder is: hls4ml's random stamp is fixed, and its record of the conversion, which
    holds paths and Python objects, is not written. What hls4ml says goes to the end of ``log``.

    Returns each layer's reuse factor: the largest of those that the layer's shape allows, up to
    the one that is asked for. With strategy Resource a factor above the fan-in is never taken, as
    hls4ml's kernels then compute something else without a word. Raises ``UserError`` for what
    ``preflight`` refuses and where hls4ml crashes, ``ValueError`` for a file of another network or
    a queue that lies nowhere, and ``RuntimeError`` if hls4ml did not take over a width, a weight
    or an edge.
    """
    preflight(model, options)
    package: Any = import_hls4ml()
    wrapper: Any = quiet_import("qonnx.core.modelwrapper")
    graph = wrapper.ModelWrapper(str(file))
    _require_same(file, graph, model)
    with (
        log.open("a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        warnings.catch_warnings(),
        _upsampling_by_height_and_width(),
    ):
        # It says so of its own passes.
        warnings.filterwarnings("ignore", message="Overriding attribute 'strategy'")
        config = package.utils.config_from_onnx_model(
            graph, granularity="name", backend=options.backend
        )
        reuse = _configure(package, config, model, options)
        converted = _converted(package, graph, config, options, folder, log)
        require_taken_over(converted, model, options.strategy)
        _set_queues(converted, model, queues or {}, options)
        converted.config.trace_output = trace
        for node in model.nodes:
            if not left_out(node):
                converted.graph[layer_name(node)].set_attr("trace", trace)
        _write(package, converted, options.backend)
    (folder / "tb_data").rmdir()  # empty, so that no version control would bring it back
    return reuse


def _require_same(file: Path, graph: Any, model: QuantisedModel) -> None:
    kinds = {"Conv": Convolution, "MatMul": Dense}
    found = [(node.name, kinds[node.op_type]) for node in graph.graph.node if node.op_type in kinds]
    wanted = [(node.name, type(node)) for node in model.weighted]
    if found != wanted:
        raise ValueError(
            f"{file} holds {[name for name, _ in found]}; expected {[name for name, _ in wanted]}"
        )


def _converted(
    package: Any, graph: Any, config: Any, options: FirmwareOptions, folder: Path, log: Path
) -> Any:
    try:
        return package.converters.convert_from_onnx_model(
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
    except Exception as error:
        # It raises whatever comes; where, is of use to who mends it.
        traceback.print_exc(file=sys.stdout)
        raise UserError(
            f"hls4ml: {type(error).__name__}, {error}; expected a network that it converts: take "
            f"the open flow for this one, and see {log}"
        ) from error


def _configure(
    package: Any, config: Any, model: QuantisedModel, options: FirmwareOptions
) -> dict[str, int]:
    config["Model"]["Strategy"] = options.strategy
    layers = config["LayerName"]
    layers[IMAGES]["Precision"] = rounded(model.input)
    reuse: dict[str, int] = {}
    for node in model.nodes:
        if isinstance(node, Add | Concatenate):
            layers[node.name]["Precision"] = {"result": rounded(node.output)}
        if not isinstance(node, Weighted):
            continue
        reuse[node.name] = _reuse_factor(package, node, options)
        about = layers[node.name]
        # A result that is settled here would keep the grid behind it, and a dense node's bias, as
        # layers of their own.
        settled = isinstance(node, Convolution) and node.output is None
        result = str(node.accumulator) if settled else "auto"
        about["Precision"] = {"accum": str(node.accumulator), "result": result}
        about |= {"ReuseFactor": reuse[node.name], "Strategy": options.strategy}
    return reuse


def _reuse_factor(package: Any, layer: Weighted, options: FirmwareOptions) -> int:
    outputs, asked = len(layer.weight), options.reuse_of(layer.name)
    if options.strategy == "Latency":
        return min(asked, layer.fan_in * outputs)
    backend = package.backends.get_backend(options.backend)
    allowed = backend.get_valid_reuse_factors(layer.fan_in, outputs)
    most = min(asked, layer.fan_in)
    factor: int = max(factor for factor in allowed if factor <= most)
    require_unrolled(layer, factor, options.strategy, allowed)
    return factor


def _set_queues(
    converted: Any,
    model: QuantisedModel,
    queues: Mapping[tuple[str, str], int],
    options: FirmwareOptions,
) -> None:
    """Give the streams between two nodes their depths, those of a padding between them as well."""
    if queues and options.io_type != "io_stream":
        raise ValueError(f"queues are given with {options.io_type}; expected io_stream")
    readers = {(source, node.name): node for node in model.nodes for source in node.sources}
    depths: dict[int, int] = {}
    for edge, depth in queues.items():
        if edge not in readers:
            raise ValueError(f"queues has {' to '.join(edge)}; expected two nodes with an edge")
        if depth < 1:
            raise ValueError(f"queue {' to '.join(edge)} is {depth}; expected at least one pixel")
        origin = seen(model, edge[0])  # pools and upsamplings by 1 are no layers
        for source, streams in paths(converted, model, converted.graph[layer_name(readers[edge])]):
            for stream in streams:
                if source == origin and isinstance(stream.pragma, tuple):
                    # One that several read is as long as the longest of their queues.
                    depths[id(stream)] = max(depth, depths.get(id(stream), 0))
                    stream.pragma = ("stream", depths[id(stream)])


@contextlib.contextmanager
def _upsampling_by_height_and_width() -> Iterator[None]:
    """hls4ml 1.3.0 takes the width of an image that runs channels-last for its height, and an image
    for channels-first where the network has neither convolution nor pool.
    """
    onnx: Any = quiet_import("hls4ml.converters.onnx_to_hls")
    theirs = onnx.layer_handlers["Resize"]

    def parse(node: Any, names: Any, shapes: Any, graph: Any) -> Any:
        layer = theirs(node, names, shapes, graph) | {"data_format": "channels_last"}
        for part, size in zip(("height", "width"), shapes[0][1:3], strict=True):
            layer[f"in_{part}"] = layer[f"out_{part}"] = size
        layer["n_chan"] = shapes[0][3]
        return layer

    onnx.layer_handlers["Resize"] = parse
    try:
        yield
    finally:
        onnx.layer_handlers["Resize"] = theirs


def _write(package: Any, converted: Any, backend: str) -> None:
    writer = package.writer.get_writer(backend)
    writer.write_yml = lambda _: None
    converted.config.config["Stamp"] = PROJECT
    writer.write_hls(converted)

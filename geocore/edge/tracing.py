"""Any module that a chip can hold as a float graph; everything else refused by name."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from geocore.edge.float_graph import FloatGraph
from geocore.edge.names import legal_name
from geocore.edge.nodes import Shape
from geocore.edge.traced import Site, Value
from geocore.edge.traced_functions import FUNCTIONS
from geocore.edge.traced_layers import GraphBuilder
from geocore.errors import UserError

__all__ = ["trace"]

_TAKEN = (
    "Conv2d, Linear, BatchNorm1d, BatchNorm2d, ReLU, MaxPool2d, nearest Upsample, ConstantPad2d, "
    "ZeroPad2d, Flatten, Dropout and Identity, +, torch.cat and permute"
)
_KINDS: tuple[type[nn.Module], ...] = (
    nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Upsample,
    nn.ConstantPad2d, nn.ZeroPad2d, nn.Flatten, nn.Dropout, nn.Identity, nn.UpsamplingNearest2d,
)  # fmt: skip
_REMEDIES = {
    "adaptive": "MaxPool2d, or a convolution as large as the image",
    "avg": "MaxPool2d, or a strided convolution, which learns the mean",
    "transpose": "a nearest Upsample and a convolution",
    "pixel_shuffle": "a nearest Upsample and a convolution",
    "pixelshuffle": "a nearest Upsample and a convolution",
    "pixelunshuffle": "a strided convolution",
    "bilinear": "a nearest Upsample",
    "dropout": "Dropout, or none",
    "softmax": "logits: leave it to the loss",
    "norm": "BatchNorm2d directly after a convolution",
    "pad": "ZeroPad2d",
    "pool": "MaxPool2d",
}
_ACTIVATIONS = """
    celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu leakyrelu logsigmoid
    mish prelu relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh threshold
"""
_WEIGHTED = frozenset(("conv1d", "conv2d", "conv3d", "linear", "batch_norm"))


def trace(module: nn.Module, shape: Shape) -> FloatGraph:
    """The graph whose ``run`` equals the module in evaluation mode, batch norms folded.

    A batch norm's ``y = g (x - m) / sqrt(v + e) + b`` goes into the convolution or linear map
    before it, or into the one after it where that does not pad. The module takes images
    ``(n, height, width, channels)`` in [0, 1] of ``shape (height, width, channels)`` and gives
    logits ``(n, classes)`` or maps ``(n, height, width, classes)``; it is not changed. A node's
    name is the path of the attribute, ``_`` for ``.``; a layer that is called twice is two nodes
    of equal weights. What is traced is compared with the module on random images, to 1e-9.

    Raises ``UserError``, ``LAYER: is FOUND; expected EXPECTED``, for whatever it does not take.
    """
    sizes = list(shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"shape is {shape}; expected (height, width, channels)")
    _no_hooks(module)
    try:
        module = copy.deepcopy(module).cpu().double().eval()
    except (RuntimeError, TypeError) as error:
        raise _refused(module, f"cannot be copied ({_line(error)})", "plain parameters") from None
    tracer = _Tracer()
    try:
        graph = tracer.trace(module)
    except Exception as error:  # whatever a forward of somebody else's raises of a proxy
        raise _refused(
            module,
            f"not traceable ({_line(error)})",
            "a forward that does not depend on the values or sizes of a tensor",
        ) from None
    traced = _Walk(module, graph, shape).graph()
    _compare(module, traced)
    return traced


class _Tracer(fx.Tracer):
    """Leaves are all layers of torch, and what others made of those that are known here."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _KINDS) or super().is_leaf_module(m, module_qualified_name)


class _Walk:
    """The calls of a forward in order, each handed to the builder."""

    def __init__(self, module: nn.Module, calls: fx.Graph, shape: Shape) -> None:
        self._module, self._calls, self._shape = module, calls, shape
        self._modules = dict(module.named_modules())
        self._found: dict[fx.Node, Any] = {}

    def graph(self) -> FloatGraph:
        inputs = [node for node in self._calls.nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            found = f"a function of {len(inputs)} arguments"
            raise _refused(self._module, found, "forward(images)")
        self._builder = GraphBuilder(self._shape, len(inputs[0].users) <= 1)
        self._found[inputs[0]] = self._builder.images
        for node in self._calls.nodes:
            if node.op == "output":
                return self._end(node)
            if node.op != "placeholder":
                self._found[node] = self._call(node)
        raise _refused(self._module, "a function without a value", "one that returns logits")

    def _end(self, node: fx.Node) -> FloatGraph:
        value = self._seen(node.args[0])
        name = type(self._module).__name__
        if not isinstance(value, Value):
            raise _refused(self._module, "a function of another value", "one tensor of logits")
        try:
            return self._builder.graph(value, Site(name, name, sole=True))
        except ValueError as error:
            raise UserError(f"{name}: {error}") from None

    def _call(self, node: fx.Node) -> Any:
        args = self._seen(node.args)
        kwargs = self._seen(node.kwargs)
        if node.op == "get_attr":
            return _Held(str(node.target))
        if node.op == "call_module":
            path = str(node.target)
            return self._layer(self._modules[path], args, kwargs, self._site(node, path))
        name = node.target if isinstance(node.target, str) else _name_of(node.target)
        if not any(isinstance(value, Value) for value in _leaves((args, kwargs))):
            return self._plain(name, args, node)
        if name in ("getattr", "size", "dim", "getitem"):
            return self._size(name, args, kwargs, node)
        path = ".".join(part for part in (_owner(node), name) if part)
        return self._function(name, args, kwargs, self._site(node, path))

    def _site(self, node: fx.Node, path: str) -> Site:
        if not node.users:
            raise UserError(
                f"{path}: is a layer that nobody reads; expected a forward without loose ends: "
                "remove it"
            )
        return Site(path, legal_name(path, self._builder.nodes), len(node.users) == 1)

    def _layer(self, layer: nn.Module, args: Any, kwargs: Any, site: Site) -> Any:
        kind = _kind(layer)
        if kind is None:
            name = type(layer).__name__
            raise site.refuse(_a(name), _remedy(name))
        values = [*args, *kwargs.values()]
        if len(values) != 1 or not isinstance(values[0], Value):
            raise site.refuse("a layer of other than one value", "one tensor of the layer before")
        return self._applied(kind, layer, values[0], site)

    def _applied(self, kind: type[nn.Module], layer: Any, value: Value, site: Site) -> Value:
        build = self._builder
        if kind is nn.Conv2d:
            return build.convolution(layer, value, site)
        if kind is nn.Linear:
            return build.linear(layer, value, site)
        if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
            return build.norm(layer, value, site)
        if kind is nn.ReLU:
            return build.relu(value, site)
        if kind is nn.MaxPool2d:
            return build.max_pool(layer, value, site)
        if kind is nn.Upsample:
            return build.upsample(layer, value, site)
        if kind is nn.ConstantPad2d:
            return build.pad(value, layer.padding, layer.value, site)
        if kind is nn.Flatten:
            return build.flatten(value, layer.start_dim, layer.end_dim, site)
        return value.read_at(site)  # nn.Dropout, nn.Identity: nothing, in evaluation mode

    def _function(self, name: str, args: Any, kwargs: Any, site: Site) -> Any:
        make = FUNCTIONS.get(name)
        if make is None:
            raise site.refuse(_a(name), _remedy(name))
        for value in _leaves((args, kwargs)):
            if isinstance(value, _Held):
                raise site.refuse(f"a function of the tensor {value.path}", "of layers' values")
        try:
            step = make(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise site.refuse(
                f"called otherwise ({_line(error)})", "torch's own arguments"
            ) from None
        return step(self._builder, site)

    def _size(self, name: str, args: Any, kwargs: Any, node: fx.Node) -> Any:
        """The sizes of a value, which a reshaping may be told."""
        value = args[0]
        path = ".".join(part for part in (_owner(node), name) if part)
        asked = [*args[1:], *kwargs.values()]
        if not isinstance(value, Value) or name == "getitem" or asked[:1] not in ([], ["shape"]):
            if name == "size" and isinstance(value, Value) and isinstance(asked[0], int):
                return _sizes(value)[asked[0]]
            raise UserError(f"{path}: is a part of a value; expected whole values: {_TAKEN}")
        sizes = _sizes(value)
        return len(sizes) if name == "dim" else sizes

    def _plain(self, name: str, args: Any, node: fx.Node) -> Any:
        """Of sizes: one of them, or their product."""
        if name == "getitem":
            return args[0][args[1]]
        if name == "mul" and all(isinstance(value, int) for value in args):
            return math.prod(args)
        path = ".".join(part for part in (_owner(node), name) if part)
        raise UserError(f"{path}: is {_a(name)} of no layer's value; expected one of {_TAKEN}")

    def _seen(self, value: Any) -> Any:
        """Arguments with what was found in the places of the calls."""
        return fx.node.map_arg(value, lambda node: self._found[node])


class _Held:
    """A tensor of the module's own that no layer holds."""

    def __init__(self, path: str) -> None:
        self.path = path


def _sizes(value: Value) -> tuple[Any, ...]:
    """Torch's sizes of it, ``n`` for the batch."""
    height, width, channels = value.shape
    above, below, left, right = value.padding
    sizes = {"n": "n", "h": height + above + below, "w": width + left + right, "c": channels}
    return ("n", math.prod(value.shape)) if value.flat else tuple(sizes[a] for a in value.axes)


def _kind(layer: nn.Module) -> type[nn.Module] | None:
    """The known class whose forward the layer's own is: one of somebody's own is another layer."""
    own = "_conv_forward"  # what the forward of a convolution leaves its work to
    for kind in _KINDS:
        if isinstance(layer, kind) and type(layer).forward is kind.forward:
            if kind is nn.Conv2d and getattr(type(layer), own) is not getattr(kind, own):
                return None
            known = {nn.ZeroPad2d: nn.ConstantPad2d, nn.UpsamplingNearest2d: nn.Upsample}
            return cast(type[nn.Module], known.get(kind, kind))
    return None


def _name_of(function: Any) -> str:
    name = str(getattr(function, "__name__", function))
    if function is F.max_pool2d or name == "boolean_dispatch" or name == "fn":
        for known in ("max_pool2d", "adaptive_max_pool2d", "max_pool1d", "max_pool3d"):
            if function is getattr(F, known):
                return known
    return {operator.add: "add", operator.iadd: "iadd"}.get(function, name)


def _owner(node: fx.Node) -> str:
    """The path of the module whose forward makes the call."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _remedy(name: str) -> str:
    word = name.lower().strip("_")
    if word in _ACTIVATIONS.split():
        return "ReLU"
    if word in _WEIGHTED:
        return "a layer of torch.nn that holds its weights"
    for part, remedy in _REMEDIES.items():
        if part in word:
            return remedy
    return f"one of {_TAKEN}"


def _no_hooks(module: nn.Module) -> None:
    for path, layer in module.named_modules():
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise UserError(
                f"{path or type(module).__name__}: is a layer with hooks; expected none: remove "
                "them (torch.nn.utils.prune.remove of a pruned one)"
            )


def _compare(module: nn.Module, graph: FloatGraph) -> None:
    """Raise ``UserError`` if the graph says anything else than the module on random images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, *graph.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        found = graph.run(images)
        try:
            wanted: Tensor = module(images)
        except (RuntimeError, TypeError, ValueError) as error:
            raise _refused(
                module, f"no function of images {graph.shape} ({_line(error)})", "one of them"
            ) from None
    if found.shape != wanted.shape and found.numel() == wanted.numel():
        wanted = wanted.reshape(found.shape)
    if found.shape != wanted.shape or not torch.allclose(found, wanted, rtol=1e-9, atol=1e-9):
        raise _refused(
            module, "another function of random images than its layers", "layers and nothing else"
        )


def _refused(module: nn.Module, found: str, expected: str) -> UserError:
    return UserError(f"{type(module).__name__}: is {found}; expected {expected}")


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__

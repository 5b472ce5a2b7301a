"""What an orbit-closed ensemble asks of network, optimiser, loss and data, each refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from geocore.ensembles.plan import Plan
from geocore.ensembles.precompose import FixedMap

__all__ = [
    "check_deterministic",
    "check_group",
    "check_loss",
    "check_optimisers",
    "check_orders",
    "check_plan",
    "check_settings",
    "check_whole_orbits",
]

Maps = Sequence[tuple[FixedMap, FixedMap | None]]
"""``rho_in(g)`` and ``rho_out(g)`` of each element; None where the outputs are invariant."""

_LINEAR = ("SGD",)  # their step is linear in gradients and weights, but for norms
_ELEMENTWISE = (
    "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop",
)  # fmt: skip
_SEEN = 4  # random projections that tell samples apart


def check_group(maps: Maps, shapes: tuple[int, int], name: str) -> None:
    """That maps are a group, the identity first and each element as often as another.

    ``rho(g) rho(h)`` must be one of them, in input and output at once: they move a random vector,
    of ``shapes`` numbers, to places that are theirs. Raises ``ValueError`` if not.
    """
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(1, n, dtype=torch.float64, generator=generator) for n in shapes]
    tests = [torch.randn(n, _SEEN, dtype=torch.float64, generator=generator) for n in shapes]

    def keys(inputs: Tensor, outputs: Tensor) -> Tensor:
        return inputs @ tests[0] + outputs @ tests[1]

    orbit = [(front(vectors[0]), vectors[1] if out is None else out(vectors[1]))
             for front, out in maps]  # fmt: skip
    known = torch.cat([keys(*vector) for vector in orbit])
    close = 1e-8 * max(1.0, float(known.abs().max()))

    def alike(found: Tensor) -> Tensor:
        return (found[:, None] - known[None]).abs().amax(dim=-1) <= close

    inputs, outputs = (torch.cat(parts) for parts in zip(*orbit, strict=True))
    for place, (front, out) in enumerate(maps):
        moved = keys(front(inputs), outputs if out is None else out(outputs))
        missing = (~alike(moved).any(dim=1)).nonzero()
        if len(missing):
            raise ValueError(
                f"{name}: element number {place} after number {int(missing[0])} is none of the "
                f"{len(maps)} elements; expected a group, acting alike on inputs and outputs"
            )
    counts = alike(known).sum(dim=1)
    if bool((counts != counts[0]).any()):
        raise ValueError(f"{name} gives some elements more often than others; expected a group")
    if not bool(alike(keys(*vectors))[0, 0]):
        raise ValueError(f"{name} has a first element that moves; expected the identity first")


def check_deterministic(model: nn.Module, x: Tensor) -> Tensor:
    """The output for ``x`` of a copy in training mode, if it is a function of each sample alone.

    Raises ``ValueError`` that names a layer with statistics of the batch, one that draws random
    numbers, or a buffer that a pass changes, and for outputs that depend on the rest of the batch;
    ``TypeError`` for what is no tensor.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            raise ValueError(
                f"layer {_told(name, module)} has statistics of the batch; expected a norm without"
            )
    model = copy.deepcopy(model).train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    cuda = [x.device] if x.is_cuda else []
    with torch.random.fork_rng(devices=cuda), torch.no_grad():
        drawing: list[str] = []
        hooks = []
        for name, module in model.named_modules():
            hooks += _watch(name, module, x, drawing)
        first = model(x.clone())
        for hook in hooks:
            hook.remove()
        again, alone = model(x.clone()), model(x[:1].clone())
    if not isinstance(first, Tensor) or first.ndim < 2 or len(first) != len(x):
        found = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise TypeError(f"build gives a model with output {found}; expected ({len(x)}, ...)")
    if drawing:
        raise ValueError(
            f"layer {drawing[0]} draws random numbers; expected none, as members must not have "
            "noise of their own"
        )
    if not torch.equal(first, again):
        raise ValueError("build gives a model with noise of its own; expected equal outputs twice")
    for name, buffer in model.named_buffers():
        if not torch.equal(buffer, before[name]):
            raise ValueError(
                f"buffer {name} changes in a pass; expected the weights alone to learn"
            )
    scale = float(first.abs().max().clamp(min=1e-6))
    if not float((first[:1] - alone).abs().max()) <= 1e4 * torch.finfo(first.dtype).eps * scale:
        raise ValueError(
            "build gives a model whose output depends on the batch; expected it not to"
        )
    return first


def check_optimisers(
    optimisers: Sequence[torch.optim.Optimizer | str],
    permutes: bool,
    name: str,
    clip: str | None = None,
) -> None:
    """That a step commutes with the change of the weights from one member to another.

    It holds for SGD with any orthogonal change, and for what treats every number by itself (Adam
    and its kin, clipping by value) if the change is a signed permutation (``permutes``). ``name``
    is the action's. Raises ``ValueError``.
    """
    if clip not in (None, "norm", "value"):
        raise ValueError(f"clip is {clip!r}; expected 'norm', 'value' or None")
    kinds = {"sgd": "SGD"} | {kind.lower(): kind for kind in _ELEMENTWISE}
    way = f"{name}, which is no signed permutation; expected"
    for optimiser in optimisers:
        kind = optimiser if isinstance(optimiser, str) else type(optimiser).__name__
        kind = kinds.get(kind.lower(), kind)
        if kind not in (*_LINEAR, *_ELEMENTWISE):
            known = ", ".join((*_LINEAR, *_ELEMENTWISE))
            raise ValueError(f"optimiser is {kind} with composed weights; expected one of {known}")
        if kind in _ELEMENTWISE and not permutes:
            raise ValueError(f"optimiser is {kind} with {way} SGD, or compose='input'")
    if clip == "value" and not permutes:
        raise ValueError(f"clip is 'value' with {way} 'norm', or compose='input'")


def check_settings(
    optimisers: Sequence[torch.optim.Optimizer | str], members: Sequence[nn.Module]
) -> None:
    """``ValueError`` naming a parameter that not all members train, or with other settings."""
    given = [optimiser for optimiser in optimisers if not isinstance(optimiser, str)]
    if not given:
        return
    settings: dict[int, Any] = {}
    for optimiser in given:
        for group in optimiser.param_groups:
            told = {key: value for key, value in group.items() if key != "params"}
            settings |= dict.fromkeys(map(id, group["params"]), (type(optimiser).__name__, told))
    named = [dict(member.named_parameters()) for member in members]
    for parameter in named[0]:
        first, *others = [settings.get(id(found[parameter])) for found in named]
        for place, other in enumerate(others, start=1):
            if other != first:
                raise ValueError(
                    f"optimiser has {_setting(other)} for {parameter} of member {place} and "
                    f"{_setting(first)} of member 0; expected one setting"
                )


def check_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    outputs: Tensor,
    targets: Tensor,
    act: Callable[[int, Tensor], Tensor],
    order: int,
) -> None:
    """``l(rho_out f, rho_out y) = l(f, y)`` within rounding. Raises ``ValueError`` if not.

    ``act(place, y)`` is how the element of that place acts on outputs and targets.
    """
    plain = loss(outputs, targets)
    allowed = 1e3 * torch.finfo(outputs.dtype).eps * float(plain.abs().max().clamp(min=1e-6))
    for place in range(order):
        size = float((loss(act(place, outputs), act(place, targets)) - plain).abs().max())
        if not size <= allowed:
            raise ValueError(
                f"loss changes by {size:.3g} when element number {place} acts on outputs and "
                "targets; expected an invariant one"
            )


def check_whole_orbits(
    inputs: Tensor, targets: Tensor, moved: Callable[[int], tuple[Tensor, Tensor]], order: int
) -> None:
    """That a batch is a union of whole orbits: each element permutes its samples.

    ``moved(place)`` is the batch with the element of that place acting on it. Samples are told
    apart by random projections, each of which must have the same sorted values. Raises
    ``ValueError``.
    """
    if len(inputs) != len(targets):
        found = f"{len(inputs)} and {len(targets)}"
        raise ValueError(f"inputs and targets have {found} samples; expected equally many")
    if len(inputs) == 0:
        raise ValueError("inputs has no samples; expected whole orbits")

    def projected(inputs: Tensor, targets: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(2)
        total: Tensor | float = 0.0
        for values in (inputs, targets):
            flat = values.detach().double().cpu().reshape(len(values), -1)
            test = torch.randn(flat.shape[1], _SEEN, dtype=torch.float64, generator=generator)
            total = total + flat @ test
        return torch.as_tensor(total).sort(dim=0).values

    here = projected(inputs, targets)
    rounding = torch.finfo(inputs.dtype).eps * inputs[0].numel() ** 0.5
    close = 100 * rounding * max(1.0, float(here.abs().max()))
    for place in range(order):
        off = float((projected(*moved(place)) - here).abs().max())
        if not off <= close:
            raise ValueError(
                f"inputs and targets are not whole orbits: element number {place} takes samples to "
                "some that are not there; expected the batch that batch() makes"
            )


def check_orders(orders: Sequence[Any]) -> None:
    """``ValueError`` unless all members have one order of the data: seeds or indices, one each."""
    for place, order in enumerate(orders):
        if not torch.equal(torch.as_tensor(order), torch.as_tensor(orders[0])):
            raise ValueError(
                f"orders differ between members 0 and {place}; expected one order of the data for "
                "all members"
            )


def check_plan(plan: Plan) -> None:
    """``ValueError`` for a plan by which members see other batches, or stop at other steps."""
    if plan.order != "shared":
        raise ValueError(
            f"plan.order is {plan.order!r}; expected 'shared', one order of the data for all"
        )
    if plan.patience is not None:
        raise ValueError(
            f"plan.patience is {plan.patience}; expected None, as members must stop at one step"
        )


def _watch(name: str, module: nn.Module, x: Tensor, drawing: list[str]) -> list[Any]:
    """Hooks that add the module to ``drawing`` if a pass moves torch's random state on."""
    states: list[Tensor] = []

    def state() -> Tensor:
        own = torch.get_rng_state()
        return torch.cat([own, torch.cuda.get_rng_state(x.device)]) if x.is_cuda else own

    def before(module: nn.Module, inputs: Any) -> None:
        states.append(state())

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        if not torch.equal(states.pop(), state()):
            drawing.append(_told(name, module))  # what is inside a module is told before it

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


def _told(name: str, module: nn.Module) -> str:
    return f"{name or 'itself'} ({type(module).__name__})"


def _setting(found: Any) -> str:
    if found is None:
        return "nothing"
    kind, values = found
    return f"{kind}(lr={values.get('lr')}, weight_decay={values.get('weight_decay')})"

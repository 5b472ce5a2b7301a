"""The orbit-closed ensemble: exactly equivariant in the mean, at any width and every step.

**Law.** Member ``g`` of ``|G|`` starts as ``f_g(x) = rho_out(g)^-1 f_e(rho_in(g) x)``. If all are
trained on the same batches of whole orbits, they keep to it, and the mean ``F = 1/|G| sum_g f_g``
has ``F(rho_in(h) x) = rho_out(h) F(x)`` at each step, for every ``x``, near the data or not.

*Mean.* ``f_g(rho_in(h) x) = rho_out(g)^-1 f_e(rho_in(gh) x) = rho_out(h) f_gh(x)``, and ``g -> gh``
runs over the group: ``h`` permutes the members, but for ``rho_out(h)``. So every symmetric function
of invariant members, as their variance or mutual information, is invariant too.

*Step.* Let ``T_g`` be the change of weights with ``f(T_g w) = rho_out(g)^-1 f(w) rho_in(g)``. The
loss on a batch ``B`` of pairs is ``L(T_g w) = sum_B l(rho_out(g)^-1 f(w)(rho_in(g) x), y)``
``= sum_B l(f(w)(rho_in(g) x), rho_out(g) y) = L(w)``: the loss is invariant (1), and ``g`` permutes
``B`` (3). With ``T_g`` orthogonal, ``grad L(T_g w) = T_g grad L(w)``; so if the optimiser's step
commutes with ``T_g`` (2), ``w_g = T_g w_e`` passes from one step to the next.

**What it needs.** (1) The loss is invariant under ``rho_out`` on outputs and targets. (2) Steps
commute with ``T_g``: those of SGD (momentum, weight decay, clipping by the norm) with any
orthogonal one; what treats each number by itself (Adam and its kin, clipping by value) with signed
permutations. (3) Every batch is a union of whole orbits, the same for all members. (4) A pass is
deterministic and takes each sample by itself: no dropout, no statistics of the batch. (5) ``rho``
is an orthogonal representation: interpolated rotations of pixels are none. And members share
learning rates and the step at which they stop. ``OrbitClosed.check`` refuses what breaks it.

``T_g`` lies in the weights of the first and last layer (``compose="weights"``), or is the identity,
with ``rho_in(g)`` as a fixed layer in front and ``rho_out(g)^-1`` one behind (``compose="input"``):
then (2) holds of any optimiser. The functions ``f_g`` are the same in both.

So all members are one network seen from ``|G|`` sides, and ``F`` is its mean over the group. What
that says of cost: training the first alone and ``close()`` give the same ensemble. Several of
them, of different seeds, are orbit-closed together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from geocore.ensembles import orbit_conditions as conditions
from geocore.ensembles.plan import Plan
from geocore.ensembles.precompose import Composed, FixedMap, carried, end_layers, read_map
from geocore.groups.orbit import full_orbit
from geocore.testing import Group

__all__ = ["OrbitClosed"]

ActOut = Callable[[Any, Tensor], Tensor] | Literal["invariant"]


class OrbitClosed(nn.Module):
    """``F(x) = 1/|G| sum_g rho_out(g)^-1 f_e(rho_in(g) x)``, kept by training: see above.

    ``build(seed)`` gives ``f_e``, with torch's random state from ``seed`` too; ``action`` is
    ``rho_in``, elements to iterate over and ``act(g, x)`` on ``(batch, *shape)``; ``x``, ``(any,
    *shape)``, is an example of the inputs, of which shape, dtype and device count. ``act_out(g,
    y)`` is ``rho_out`` on outputs and targets ``(batch, ...)``. ``members`` are ordinary networks,
    ``f_e`` first, in the order of the elements, for any loop that gives all of them the same
    batches from ``batch``.

    ``compose`` is where ``rho_in`` goes: ``"input"``, the default, takes any network and any
    optimiser; with ``"weights"`` a member is a network of the plain architecture, whose first layer
    must be linear on the flat input, and the last one if the output is not invariant.

    >>> from geocore.groups import OnImages, PlanarGroup
    >>> build = lambda seed: nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    >>> x, y = torch.rand(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    >>> ensemble = OrbitClosed(build, OnImages(PlanarGroup(4)), x)
    >>> x, y = ensemble.batch(x, y)
    >>> loss = sum(nn.functional.cross_entropy(member(x), y) for member in ensemble.members)

    Raises ``ValueError``, in one line, for an action that is no orthogonal representation, a
    network with noise or statistics of the batch, and one that cannot be composed as asked.
    """

    def __init__(
        self,
        build: Callable[[int], nn.Module],
        action: Group,
        x: Tensor,
        *,
        seed: int = 0,
        act_out: ActOut = "invariant",
        compose: Literal["input", "weights"] = "input",
    ) -> None:
        super().__init__()
        if compose not in ("input", "weights"):
            raise ValueError(f"compose is {compose!r}; expected 'input' or 'weights'")
        if not isinstance(act_out, str) and not callable(act_out):
            raise TypeError(f"act_out is {type(act_out).__name__}; expected a function")
        if isinstance(act_out, str) and act_out != "invariant":
            raise ValueError(f"act_out is {act_out!r}; expected 'invariant' or a function")
        if x.ndim < 2 or not x.is_floating_point():
            found = f"{x.dtype} {tuple(x.shape)}"
            raise ValueError(f"x is {found}; expected floats (batch, *shape)")
        self.action, self.act_out, self.compose = action, act_out, compose
        self.name = str(getattr(action, "name", type(action).__name__))
        self.elements = tuple(action)
        if not self.elements:
            raise ValueError("action has no elements; expected at least one")

        body = _built(build, seed, x)
        probe = torch.rand(2, *x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x)
        out = conditions.check_deterministic(body, probe)
        maps = self._read(tuple(x.shape[1:]), tuple(out.shape[1:]))
        sizes = (probe[0].numel(), out[0].numel())
        conditions.check_group(maps, sizes, self.name)
        self.permutes = all(m.permutes for pair in maps for m in pair if m is not None)
        # Like buffers in all members: so they can be stacked.
        fronts = FixedMap.alike([front for front, _ in maps])
        backs = FixedMap.alike([out.inverse() for _, out in maps if out is not None])
        pairs = [(front, backs[k] if backs else None) for k, front in enumerate(fronts)]
        self._pairs = [(front.to(x.device), back and back.to(x.device)) for front, back in pairs]

        self._ends: tuple[str, str | None] | None = None
        if compose == "weights":
            self._ends = end_layers(copy.deepcopy(body).train(), probe, bool(backs))
            members = [copy.deepcopy(body) for _ in self.elements]
        else:
            members = [Composed(front, copy.deepcopy(body), back) for front, back in self._pairs]
        self.members = nn.ModuleList(members)
        self.close()
        self._check_start(body, probe)

    def __len__(self) -> int:
        return len(self.elements)

    def forward(self, x: Tensor) -> Tensor:
        """``F(x)``, the mean over members, ``(batch, ...)``."""
        return self.outputs(x).mean(dim=0)

    def outputs(self, x: Tensor) -> Tensor:
        """``f_g(x)`` of all members, ``(|G|, batch, ...)``."""
        return torch.stack([member(x) for member in self.members])

    def member(self, place: int) -> nn.Module:
        """A copy of a member, for what makes members one by one, as ``build`` of ``place``."""
        return copy.deepcopy(self.members[place])

    def batch(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """``{(rho_in(h) x, rho_out(h) y)}`` over the group: ``(|G| * batch, ...)`` of both."""
        return full_orbit(self.action, inputs, targets, self.act_out)

    def check(
        self,
        *,
        optimiser: torch.optim.Optimizer | str | Sequence[torch.optim.Optimizer] | None = None,
        clip: Literal["norm", "value"] | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        batch: tuple[Tensor, Tensor] | None = None,
        orders: Sequence[Any] | None = None,
        plan: Plan | None = None,
    ) -> None:
        """Whether training so keeps the law: ``ValueError``, in one line, for the first that not.

        ``optimiser``: one over all members, several that are together, or its name; ``clip``: what
        gradients are clipped by. ``batch``: inputs and targets, whole orbits; ``loss(outputs,
        targets)`` is tried on them. ``orders``: each member's order of the data, seeds or indices.
        ``plan``: of ``train_ensemble``, which is to get ``member``, the places as seeds, ``batch``
        as its augmentation, and no validation split, by which members would choose their weights.
        """
        given: list[torch.optim.Optimizer | str] = []
        if optimiser is not None:
            one = isinstance(optimiser, str | torch.optim.Optimizer)
            given = [optimiser] if one else list(optimiser)  # type: ignore[list-item, arg-type]
        if plan is not None:
            conditions.check_plan(plan)
        if self.compose == "weights":
            kinds = [*given, *([] if plan is None else [plan.optimiser])]
            conditions.check_optimisers(kinds, self.permutes, self.name, clip)
        conditions.check_settings(given, list(self.members))
        if batch is not None:
            conditions.check_whole_orbits(*batch, lambda k: self._moved(k, *batch), len(self))
        if loss is not None:
            if batch is None:
                raise ValueError("loss comes without batch; expected one to try it on")
            with torch.no_grad():
                outputs = self.members[0](batch[0])
                conditions.check_loss(loss, outputs, batch[1], self._act_out, len(self))
        if orders is not None:
            conditions.check_orders(orders)

    @torch.no_grad()
    def deviation(self) -> float:
        """``max_g |w_g - T_g w_e|``, over all weights: 0 but for rounding while the law holds.

        Rounding grows as training goes on, and Adam enlarges that of gradients that are 0; a number
        far above it tells of members that were trained on other data, or not alike.
        """
        worst = 0.0
        for place in range(1, len(self)):
            new = self._carried(place)
            for name, value in self.members[place].named_parameters():
                off = (value - new[name]).abs()
                worst = max(worst, float(off.max())) if off.numel() else worst
        return worst

    @torch.no_grad()
    def close(self) -> None:
        """``w_g = T_g w_e``: give the others the identity's weights, carried over.

        It takes the rounding out, which a long training may enlarge (a convolutional network under
        Adam to 1e-10 in 300 steps), and makes an ensemble of a first member that was trained alone,
        on batches of whole orbits, at one ``|G|``-th of the cost.
        """
        for place in range(1, len(self)):
            new = self._carried(place)
            for name, value in self.members[place].named_parameters():
                value.copy_(new[name])

    def _carried(self, place: int) -> dict[str, Tensor]:
        weights = {name: value.detach() for name, value in self.members[0].named_parameters()}
        if self._ends is None or place == 0:
            return weights
        front, back = (fixed and fixed.to(next(iter(weights.values())).device)
                       for fixed in self._pairs[place])  # fmt: skip
        assert front is not None
        return carried(weights, *self._ends, front, back)

    def _act_out(self, place: int, y: Tensor) -> Tensor:
        return y if self.act_out == "invariant" else self.act_out(self.elements[place], y)

    def _moved(self, place: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.action.act(self.elements[place], inputs), self._act_out(place, targets)

    def _read(
        self, shape: tuple[int, ...], out: tuple[int, ...]
    ) -> list[tuple[FixedMap, FixedMap | None]]:
        found: list[tuple[FixedMap, FixedMap | None]] = []
        for place, element in enumerate(self.elements):
            told = f"action is {self.name}: element number {place}"
            front = read_map(lambda y, g=element: self.action.act(g, y), shape, told)  # type: ignore[misc]
            back = None
            if self.act_out != "invariant":
                told = f"act_out: element number {place}"
                back = read_map(lambda y, k=place: self._act_out(k, y), out, told)  # type: ignore[misc]
            found.append((front, back))
        return found

    @torch.no_grad()
    def _check_start(self, body: nn.Module, x: Tensor) -> None:
        """That composed weights are the composed function: ``x`` may be used in other places."""
        if self._ends is None:
            return
        for (front, back), member in zip(self._pairs, self.members, strict=True):
            expected = Composed(front, body, back)(x)
            off = float((member(x) - expected).abs().max())
            scale = float(expected.abs().max().clamp(min=1e-6))
            if not off <= 1e5 * torch.finfo(x.dtype).eps * scale:
                raise ValueError(
                    f"build gives a model whose layers {self._ends} are not all that inputs and "
                    "outputs pass; expected compose='input'"
                )


def _built(build: Callable[[int], nn.Module], seed: int, x: Tensor) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(seed)
    if not isinstance(model, nn.Module):
        raise TypeError(f"build gives {type(model).__name__}; expected a torch.nn.Module")
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    if first is None:
        raise ValueError("build gives a model without parameters; expected some to learn")
    if (first.dtype, first.device) != (x.dtype, x.device):
        found, expected = f"{x.dtype} on {x.device}", f"{first.dtype} on {first.device}"
        raise TypeError(f"x is {found}; expected {expected}, as the model's parameters")
    return model

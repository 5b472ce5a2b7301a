"""Training members on samples or on whole orbits, and asking them on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.config.orbits import CommonOrbits
from geocore.ensembles.engine import Augment, Samples, start_ensemble, train_ensemble
from geocore.ensembles.ensemble_state import EnsembleState
from geocore.ensembles.losses import CrossEntropy, Loss, SquaredError
from geocore.ensembles.orbit_closed import OrbitClosed
from geocore.ensembles.plan import Plan
from geocore.ensembles.stack import Build
from geocore.models.stochastic.networks import stochastic_cnn, stochastic_mlp
from geocore.pipeline.orbit_task import OrbitTask
from geocore.runs.slots import Slots
from geocore.train.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["closed_answers", "member_answers", "network"]

Tell = Callable[[int], None]
"""Called with the step after each one."""

_ANSWERS = "answers.safetensors"


def network(params: CommonOrbits, shape: Sequence[int], outputs: int, dtype: torch.dtype) -> Build:
    """What makes the member of a seed, for inputs of ``shape``.

    A perceptron on the flat input, or the small convolutional network, both with ReLU; no layer
    knows of a group. Weights are independent, of one symmetric law a layer: so the law of a
    member's function is invariant under permutations and signs of its inputs, or (convolutions)
    under quarter turns and mirrors, which is what the theorem asks of the initialisation.
    """

    def build(seed: int) -> nn.Module:
        if getattr(params, "network", "mlp") == "cnn":
            channels, edge, _ = shape
            features = (params.width, 2 * params.width)
            return stochastic_cnn(
                channels, edge, outputs, "none", widths=features, seed=seed, dtype=dtype
            )
        widths = (math.prod(shape), *[params.width] * params.depth, outputs)
        return nn.Sequential(nn.Flatten(), *stochastic_mlp(widths, "none", seed=seed, dtype=dtype))

    return build


def member_answers(
    task: OrbitTask,
    params: CommonOrbits,
    seeds: Sequence[int],
    augmented: bool,
    device: torch.device,
    tell: Tell = lambda step: None,
    *,
    slots: Slots | None = None,
    checkpoint_every: int = 0,
) -> Tensor:
    """What the members of ``seeds`` answer: ``(times, members, elements, questions, outputs)``.

    They are trained in float32, each with an order of its own of the samples; ``augmented``: on the
    whole orbits of a batch's samples, so that a step sees as many samples, each ``|G|`` times.
    The answers lie on the CPU. With ``slots`` a checkpoint is left every so many steps, the answers
    so far in it, and the newest that is there is gone on from.
    """
    build = network(params, task.shape, task.outputs, torch.float32)
    # Of one batch the order is of no account, and all members can share what is read.
    order = "shared" if params.batch_size >= len(task.inputs) else "own"
    state = start_ensemble(build, seeds, _plan(params, len(task.inputs), order), device)
    if augmented:
        samples, augment = _orbit_samples(task, torch.float32, device), _whole_orbits
    else:
        samples = _samples(task.inputs, task.targets, torch.float32, device)
        augment = None
    return _answers(task, params, state, samples, augment, tell, slots, checkpoint_every)


def closed_answers(
    task: OrbitTask,
    params: CommonOrbits,
    seed: int,
    tell: Tell = lambda step: None,
    *,
    slots: Slots | None = None,
    checkpoint_every: int = 0,
) -> Tensor:
    """The same of the orbit-closed ensemble's members, in float64, on the CPU.

    All ``|G|`` members of the exact group are trained, each for itself, on the same whole orbits;
    nothing is carried over from the first after the start. Perceptrons have the group in their
    first and last weights, convolutional networks in front and behind.
    """
    exact = task.part(task.exact)
    places = dict(zip(exact.elements, task.places[task.exact].tolist(), strict=True))
    build = network(params, task.shape, task.outputs, torch.float64)
    closed = OrbitClosed(
        build,
        exact,
        task.inputs[:2],
        seed=seed,
        act_out="invariant"
        if task.matrices is None
        else lambda element, y: task.act_out(places[element], y),
        compose="input" if getattr(params, "network", "mlp") == "cnn" else "weights",
    )
    plan = _plan(params, len(task.inputs), "shared")
    loss = _loss(task)
    x, y = task.orbits
    batch = x[: params.batch_size].flatten(0, 1), y[: params.batch_size].flatten(0, 1)
    closed.check(
        plan=plan, batch=batch, loss=lambda out, y: loss.learned(out[None], y[None]).loss[0]
    )
    state = start_ensemble(closed.member, range(len(closed)), plan)
    samples = _orbit_samples(task, torch.float64, torch.device("cpu"))
    return _answers(task, params, state, samples, _whole_orbits, tell, slots, checkpoint_every)


def _answers(
    task: OrbitTask,
    params: CommonOrbits,
    state: EnsembleState,
    samples: Samples,
    augment: Augment | None,
    tell: Tell,
    slots: Slots | None,
    checkpoint_every: int,
) -> Tensor:
    dtype, device = state.stack.weights[0].dtype, state.stack.device
    questions = task.questions.flatten(0, 1).to(device, dtype)
    found: dict[int, Tensor] = {}
    if slots is not None and (checkpoint := slots.newest()) is not None:
        read_checkpoint(checkpoint.folder, state)
        kept = load_file(checkpoint.file(_ANSWERS))
        found = {int(step): answers for step, answers in kept.items()}

    def ask(state: EnsembleState) -> None:
        if state.step in params.times and state.step not in found:
            blocks = state.program.blocks(len(questions))
            answers = [state.program.outputs(block, questions, None).cpu() for block in blocks]
            found[state.step] = torch.cat(answers).unflatten(1, task.questions.shape[:2])
        tell(min(state.step, params.times[-1]))

    def keep(state: EnsembleState) -> None:
        if slots is not None:
            slots.save(state.step, fill)

    def fill(folder: Path) -> None:
        write_checkpoint(folder, state)
        save_file({str(step): answers for step, answers in found.items()}, folder / _ANSWERS)

    ask(state)
    train_ensemble(
        state,
        samples,
        None,
        _loss(task),
        augment=augment,
        checkpoint_every=checkpoint_every,
        on_checkpoint=keep,  # after the step's answers
        on_step=ask,
    )
    return torch.stack([found[step] for step in params.times])


def _plan(params: CommonOrbits, count: int, order: str) -> Plan:
    """Whole epochs, at least until the last time."""
    per_epoch = math.ceil(count / params.batch_size)
    return Plan(
        epochs=math.ceil(params.times[-1] / per_epoch),
        batch_size=params.batch_size,
        lr=params.lr,
        optimiser=params.optimiser,
        order=order,  # type: ignore[arg-type]
    )


def _loss(task: OrbitTask) -> Loss:
    return CrossEntropy() if task.classifies else SquaredError()


def _samples(x: Tensor, y: Tensor, dtype: torch.dtype, device: torch.device) -> Samples:
    return Samples(x.to(device, dtype), y.to(device, dtype if y.is_floating_point() else y.dtype))


def _orbit_samples(task: OrbitTask, dtype: torch.dtype, device: torch.device) -> Samples:
    """A sample is a whole orbit, which ``_whole_orbits`` takes apart again."""
    return _samples(*task.orbits, dtype, device)


def _whole_orbits(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``(batch, order, ...)`` of both to ``(batch * order, ...)``."""
    del generator  # the whole orbit, nothing drawn
    return x.flatten(0, 1), y.flatten(0, 1)

"""The networks of ``synthesize`` as parts: the float one, and each variant that comes from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geocore.config.runtime import RuntimeParams
from geocore.config.synthesize import SynthesizeParams, Variant
from geocore.config.train import TrainParams
from geocore.edge.bits import Bits, LayerBits
from geocore.edge.calibration import activation_peaks, calibrate
from geocore.edge.description import QuantisedModel
from geocore.edge.enet import Enet
from geocore.edge.filter_pruning import prune_filters
from geocore.edge.firmware_options import FirmwareOptions
from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.float_graph import FloatGraph
from geocore.edge.layout import choose_lanes
from geocore.edge.nodes import Shape
from geocore.edge.preflight import require_shapes
from geocore.edge.pruning import MagnitudePruning, PolynomialSchedule, Pruning
from geocore.edge.quantised import QuantisedNetwork, rounded_nodes
from geocore.edge.street_cnn import build_street_cnn
from geocore.edge.student import build_student, spatial_sizes
from geocore.edge.tracing import trace
from geocore.errors import UserError
from geocore.pipeline.long_part import make_long_part
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_file
from geocore.runs.slots import Slots
from geocore.runs.store import Piece
from geocore.train.checkpoint import read_checkpoint, write_checkpoint
from geocore.train.device import resolve
from geocore.train.feed import Feed
from geocore.train.loop import steps_per_epoch
from geocore.train.objective import Objective, objective
from geocore.train.state import TrainState

__all__ = ["INTEGERS", "WEIGHTS", "Images", "Networks", "firmware_options"]

INTEGERS, WEIGHTS = "integers.safetensors", "weights.safetensors"
_CODE = (__name__,)
_CALIBRATED_ON, _DENSE_ON = 1024, 64  # images that grids begin by; large ones
_JUDGED_ON = 256  # images by which filters are judged


@dataclass(frozen=True)
class Images:
    """The stage's images: a feed a split, their shape, their classes, what errors call them.

    ``feeds`` lie with the processor, where everything is exact and no device's; ``learnt_from`` are
    the same on the device that trains.
    """

    feeds: Mapping[str, Feed]
    shape: Shape
    classes: tuple[str, ...]
    where: str
    learnt_from: Mapping[str, Feed]


class Networks:
    """The trained networks of one job."""

    def __init__(self, job: Job, images: Images) -> None:
        self._job, self._images = job, images
        self._params = job.section(SynthesizeParams)
        self._device = resolve(job.section(RuntimeParams).device)
        self._raw = {"raw": job.inputs["raw"]}

    def require(self) -> None:
        """``UserError`` for images and bits that the network does not take, before it learns."""
        params, shape = self._params, self._images.shape
        file = self._job.params_file
        if params.network == "street_cnn" and shape != (32, 32, 3):
            raise UserError(
                f"{file}: synthesize.network is street_cnn and images are {shape}; expected "
                "(32, 32, 3)"
            )
        if params.network == "enet" and (shape[0] % 8 or shape[1] % 8 or shape[2] != 3):
            raise UserError(
                f"{file}: synthesize.network is enet and images are {shape}; expected a height and "
                "a width in eights, and 3 channels"
            )
        if params.network == "blocks":
            try:
                spatial_sizes(shape, len(params.channels or ()))
            except UserError as error:
                raise UserError(f"{file}: {error}") from None
        graph = trace(self.seeded().eval(), shape)
        computing = [node.name for node in graph.weighted]
        given = rounded_nodes(graph)
        with_bits = [node.name for node in graph.nodes if node.name in (*computing, *given)]
        for name, _ in params.reuse_factors:
            if name not in computing:
                raise UserError(
                    f"{file}: synthesize.reuse_factors has {name}; expected one of "
                    f"{', '.join(computing)}"
                )
        for variant, chosen in params.chosen().items():
            for name, _, _ in chosen.layer_bits or ():
                if name not in with_bits:
                    raise UserError(
                        f"{file}: layer_bits of synthesize's variant {variant} has {name}; "
                        f"expected one of {', '.join(with_bits)}"
                    )
            bits = self.bits(chosen)
            binary = any(bits.weights_of(name) == "binary" for name in computing)
            if binary and chosen.sparsity:
                raise UserError(
                    f"{file}: synthesize's variant {variant} has binary weights, without a zero, "
                    f"and sparsity {chosen.sparsity:g}; expected 0"
                )
            self._require_ways(variant, chosen, graph)

    def _require_ways(self, variant: str, chosen: Variant, graph: FloatGraph) -> None:
        """What the shapes alone forbid; those of a network with fewer filters are not known yet."""
        if not chosen.ways or chosen.filter_error is not None:
            return
        peaks = {node.name: 1.0 for node in graph.nodes}
        model = QuantisedNetwork(graph, self.bits(chosen), peaks).describe()
        try:
            if "hls4ml" in chosen.ways:
                require_shapes(model, firmware_options(self._params))
            if "verilog" in chosen.ways:
                choose_lanes(model, dense_cycles=self._params.dense_cycles)
        except UserError as error:
            where = f"{self._job.params_file}: synthesize's variant {variant}"
            raise UserError(f"{where}: {error}") from None

    def float_network(self) -> tuple[Piece, FloatGraph]:
        """Part ``network-float``: ``weights.safetensors``; and the network as a graph."""
        params = self._params
        network = self.seeded()
        plan = self._plan(float_plan, params.epochs)

        def build(folder: Path, slots: Slots) -> dict[str, Any]:
            best = self._fit("float network", network, plan, slots)
            save_file(_held(network), folder / WEIGHTS)
            return best

        piece = make_long_part(
            self._job,
            "network-float",
            build,
            parameters=self._of(
                "network", "channels", "seed", "epochs", "batch_size", "lr", "class_weights"
            ),
            inputs=self._raw,
            code=_CODE,
            device=self._device.type,
        )
        network.load_state_dict(load_file(piece.file(WEIGHTS)))
        return piece, trace(network.cpu().eval(), self._images.shape)

    def bits(self, chosen: Variant) -> Bits:
        """What a variant's section says of its bits."""
        assert chosen.weight_bits is not None and chosen.activation_bits is not None
        layers = {
            node: LayerBits(weights, activations)
            for node, weights, activations in chosen.layer_bits or ()
        }
        return Bits(chosen.weight_bits, chosen.activation_bits, self._params.input_bits, layers)

    def smaller(self, chosen: Variant, graph: FloatGraph) -> tuple[FloatGraph, dict[str, float]]:
        """A variant's float network, with fewer filters if it says so; the peaks of its values."""
        feed = self._images.feeds["train"]
        if chosen.filter_error is not None:
            images, _ = feed(torch.arange(min(len(feed), _JUDGED_ON)))
            graph = prune_filters(graph, images.cpu(), chosen.filter_error).graph
        return graph, activation_peaks(graph, feed, images=self._seen)

    @property
    def _seen(self) -> int:
        return _DENSE_ON if self._params.dense else _CALIBRATED_ON

    def objective(self, training: Feed) -> Objective:
        """What all of them learn, where ``training`` lies."""
        plan, images = self._plan(float_plan, 1), self._images
        return objective(plan, images.classes, training, images.where)

    def variant(
        self, name: str, chosen: Variant, bits: Bits, given: Piece, graph: FloatGraph
    ) -> tuple[Piece, QuantisedModel]:
        """Part ``network-quantised``: the integers of a variant, trained from the float weights.

        Weights are pruned by magnitude over the first half of its epochs and stay so.
        """
        params = self._params
        plan = self._plan(quantised_plan, params.quantised_epochs)
        few = any(isinstance(bits.weights_of(node.name), str) for node in graph.weighted)
        if few:  # it has further to go
            plan = plan.model_copy(update={"lr": params.lr})

        def build(folder: Path, slots: Slots) -> dict[str, Any]:
            feed = self._images.feeds["train"]
            smaller, peaks = self.smaller(chosen, graph)
            network = QuantisedNetwork(smaller, bits, peaks)
            if few:
                # Weights of a bit or two are far from the float ones: their grids begin anew.
                calibrate(network, feed, images=self._seen)
            pruning = None
            if chosen.sparsity:
                half = plan.epochs * steps_per_epoch(len(feed), plan) // 2
                schedule = PolynomialSchedule(0.0, chosen.sparsity, 0, half)
                pruning = MagnitudePruning(network, schedule, scope="global")
            best = self._fit(name, network, plan, slots, pruning)
            model = network.cpu().describe()
            about = {"quantised": model.about()}
            save_file(model.tensors(), folder / INTEGERS, metadata=about)
            return best | {"filters": {node.name: len(node.weight) for node in smaller.weighted}}

        piece = make_long_part(
            self._job,
            "network-quantised",
            build,
            parameters={
                "bits": asdict(bits),
                "sparsity": chosen.sparsity,
                "filter_error": chosen.filter_error,
                **self._of("seed", "quantised_epochs", "batch_size", "lr"),
                **self._of("network", "channels", "class_weights"),
            },
            inputs=self._raw | {"float": digest_file(given.file(WEIGHTS))},
            code=_CODE,
            device=self._device.type,
        )
        return piece, QuantisedModel.read(piece.file(INTEGERS))

    def seeded(self) -> nn.Module:
        """The float network as it begins."""
        params, images = self._params, self._images
        classes = len(images.classes)
        if params.network == "street_cnn":
            street: nn.Module = build_street_cnn(classes, params.seed)
            return street
        assert params.channels is not None  # the section says so
        if params.network == "enet":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(params.seed)
                return Enet(params.channels, classes)
        return build_student(images.shape, params.channels, classes, params.seed)

    def _plan(self, plan: Callable[..., TrainParams], epochs: int) -> TrainParams:
        params = self._params
        return plan(
            seed=params.seed,
            epochs=epochs,
            batch_size=params.batch_size,
            lr=params.lr,
            task="segmentation" if params.dense else "classification",
            class_weights=params.class_weights,
        )

    def _of(self, *names: str) -> dict[str, Any]:
        values = self._params.model_dump(mode="json")
        return {name: values[name] for name in names}

    def _fit(
        self,
        label: str,
        network: nn.Module,
        plan: TrainParams,
        slots: Slots,
        pruning: Pruning | None = None,
    ) -> dict[str, Any]:
        """Train in place, on from the newest checkpoint; the network is left with its best."""
        training, validation = (self._images.learnt_from[split] for split in ("train", "val"))
        learned = self.objective(training)
        learned.require(validation, self._images.where)
        total = plan.epochs * steps_per_epoch(len(training), plan)
        with self._job.progress.bar(label, total) as bar:

            def resume(state: TrainState) -> None:
                if (newest := slots.newest()) is not None:
                    read_checkpoint(newest.folder, state)
                    self._job.progress.say(f"{label}: goes on from step {state.step}")
                    bar.start_at(state.step)

            def save(state: TrainState) -> None:
                slots.save(state.step, lambda folder: write_checkpoint(folder, state))

            best = fit(
                network, training, validation, plan,
                objective=learned, pruning=pruning, device=self._device, resume=resume,
                on_step=lambda state: bar.advance(note=state.headline()), on_checkpoint=save,
                checkpoint_every=self._job.section(RuntimeParams).checkpoint_every,
            )  # fmt: skip
        return {name: best[name] for name in ("epoch", *learned.names)}


def firmware_options(params: SynthesizeParams) -> FirmwareOptions:
    """What the section says to hls4ml."""
    return FirmwareOptions(
        io_type=params.io_type,
        strategy=params.strategy,
        reuse_factor=params.reuse_factor,
        reuse_factors=dict(params.reuse_factors),
        backend=params.backend,
        clock_period=params.clock_period,
        part=params.part,
    )


def _held(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu().contiguous() for name, value in network.state_dict().items()}

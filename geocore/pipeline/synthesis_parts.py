"""The parts of ``synthesize``: each is made once, and holds in its key only what decides it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.synthesize import SynthesizeParams
from geocore.config.train import TrainParams
from geocore.edge.compiled import compile_firmware
from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import FirmwareOptions, write_firmware
from geocore.edge.fitting import fit, float_plan, quantised_plan
from geocore.edge.nodes import Shape
from geocore.edge.qonnx_file import write_qonnx
from geocore.edge.quantised import Bits, QuantisedStudent, activation_peaks, exact_logits
from geocore.edge.student import Student, build_student
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.atomic import discard
from geocore.runs.digest import digest_file, digest_json
from geocore.runs.store import Piece
from geocore.train.feed import Feed
from geocore.train.loop import steps_per_epoch
from geocore.train.state import TrainState

__all__ = ["BATCH", "FIRMWARE", "MODEL", "Images", "Synthesis"]

FIRMWARE, MODEL = "firmware", "student.qonnx.onnx"
BATCH = 256  # images at once where none is learnt from


@dataclass(frozen=True)
class Images:
    """The stage's images: a feed a split, their shape, and how many classes they have."""

    feeds: dict[str, Feed]
    shape: Shape
    classes: int


class Synthesis:
    """The parts of one job, each asked for after the one that it builds on."""

    def __init__(self, job: Job, images: Images) -> None:
        self._job, self._images = job, images
        self._params = job.section(SynthesizeParams)
        self._log = job.work / "firmware.log"
        self._raw = {"raw": job.inputs["raw"]}

    def float_student(self) -> tuple[Piece, Student]:
        """Part ``student-float``: ``weights.safetensors``."""
        params, images = self._params, self._images
        seeded = build_student(images.shape, params.channels, images.classes, params.seed)

        def build(folder: Path) -> dict[str, Any]:
            plan = float_plan(
                seed=params.seed,
                epochs=params.epochs,
                batch_size=params.batch_size,
                lr=params.lr,
            )
            best = self._fit("float student", seeded, plan)
            save_file(seeded.state_dict(), folder / "weights.safetensors")
            return best

        piece = make_part(
            self._job,
            "student-float",
            build,
            parameters=self._of("channels", "seed", "epochs", "batch_size", "lr"),
            inputs=self._raw,
            code=[__name__],
        )
        seeded.load_state_dict(load_file(piece.file("weights.safetensors")))
        return piece, seeded.eval()

    def quantised_student(self, given: Piece, student: Student) -> tuple[Piece, QuantisedModel]:
        """Part ``student-quantised``: integers and formats, the QONNX file, logits of val, test."""
        params, images = self._params, self._images

        def build(folder: Path) -> dict[str, Any]:
            bits = Bits(params.weight_bits, params.activation_bits, params.input_bits)
            peaks = activation_peaks(student, images.feeds["train"])
            quantised = QuantisedStudent(student, images.shape, bits, peaks)
            plan = quantised_plan(
                seed=params.seed,
                epochs=params.quantised_epochs,
                batch_size=params.batch_size,
                lr=params.lr,
            )
            best = self._fit("quantised student", quantised, plan)
            logits = {
                split: exact_logits(quantised, images.feeds[split], BATCH)
                for split in ("val", "test")
            }
            save_file(logits, folder / "logits.safetensors")
            model = quantised.describe()
            about = {"quantised": model.about()}
            save_file(model.tensors(), folder / "integers.safetensors", metadata=about)
            write_qonnx(quantised, folder / MODEL)
            return best

        piece = make_part(
            self._job,
            "student-quantised",
            build,
            parameters=self._of(
                "weight_bits", "activation_bits", "input_bits",
                "seed", "quantised_epochs", "batch_size", "lr",
            ),
            inputs=self._raw | {"float": digest_file(given.file("weights.safetensors"))},
            code=[__name__],
        )  # fmt: skip
        return piece, QuantisedModel.read(piece.file("integers.safetensors"))

    def firmware(self, given: Piece, model: QuantisedModel) -> Piece:
        """Part ``firmware``: the folder of sources; reuse factors in its values."""

        def build(folder: Path) -> dict[str, Any]:
            reuse = self._write(given, model, folder / FIRMWARE)
            return {"reuse_factors": reuse, "compiled_from": _compiled_from(folder / FIRMWARE)}

        return make_part(
            self._job,
            "firmware",
            build,
            parameters=self._of(
                "io_type", "strategy", "reuse_factor", "backend", "clock_period", "part"
            ),
            inputs=self._quantised(given),
            code=[__name__],
        )

    def firmware_predictions(
        self, given: Piece, model: QuantisedModel, firmware: Piece
    ) -> tuple[Piece, dict[str, Tensor]]:
        """Part ``firmware-predictions``: what the compiled sources say of val and test.

        The sources are written anew for it and compared: what a store holds is never run. Scripts
        for the vendor's tool are not compiled, so another clock predicts nothing again.
        """
        wanted = firmware.values["compiled_from"]

        def build(folder: Path) -> None:
            with self._scratch() as scratch:
                self._write(given, model, scratch)
                if _compiled_from(scratch) != wanted:
                    raise RuntimeError(
                        f"hls4ml wrote other sources than those of piece {firmware.key}; "
                        "expected equal ones from equal arguments"
                    )
                compiled = compile_firmware(scratch, model, self._log)
                logits = {split: self._predict(compiled.logits, split) for split in ("val", "test")}
            save_file(logits, folder / "logits.safetensors")

        piece = make_part(
            self._job,
            "firmware-predictions",
            build,
            parameters={},
            inputs=self._raw | {"sources": wanted},
            code=[__name__],
        )
        return piece, load_file(piece.file("logits.safetensors"))

    def _of(self, *names: str) -> dict[str, Any]:
        values = self._params.model_dump(mode="json")
        return {name: values[name] for name in names}

    @staticmethod
    def _quantised(given: Piece) -> dict[str, str]:
        return {name: digest_file(given.file(name)) for name in (MODEL, "integers.safetensors")}

    def _fit(self, label: str, model: torch.nn.Module, plan: TrainParams) -> dict[str, Any]:
        training, validation = (self._images.feeds[split] for split in ("train", "val"))
        total = plan.epochs * steps_per_epoch(len(training), plan)
        with self._job.progress.bar(label, total) as bar:

            def advance(state: TrainState) -> None:
                del state
                bar.advance()

            return dict(fit(model, training, validation, plan, on_step=advance))

    def _write(self, given: Piece, model: QuantisedModel, folder: Path) -> dict[str, int]:
        params = self._params
        options = FirmwareOptions(
            io_type=params.io_type,
            strategy=params.strategy,
            reuse_factor=params.reuse_factor,
            backend=params.backend,
            clock_period=params.clock_period,
            part=params.part,
        )
        self._log.parent.mkdir(parents=True, exist_ok=True)
        return write_firmware(given.file(MODEL), model, options, folder, self._log)

    def _predict(self, logits: Any, split: str) -> Tensor:
        feed = self._images.feeds[split]
        with self._job.progress.bar(f"firmware, {split}", len(feed)) as bar:
            found = []
            for positions in torch.arange(len(feed)).split(BATCH):
                found.append(logits(feed(positions)[0]))
                bar.advance(len(positions))
        return torch.cat(found)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder of a new name, gone at the end; what a killed run left of its own goes first."""
        work = self._job.work
        work.mkdir(parents=True, exist_ok=True)
        for left in work.glob("compiled-*"):
            discard(left)
        with tempfile.TemporaryDirectory(dir=work, prefix="compiled-") as name:
            yield Path(name)


def _compiled_from(folder: Path) -> str:
    """A digest of the files that the library is compiled from, and of the weights it reads."""
    suffixes = (".cpp", ".h", ".sh", ".txt")
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    return digest_json({path.relative_to(folder).as_posix(): digest_file(path) for path in files})

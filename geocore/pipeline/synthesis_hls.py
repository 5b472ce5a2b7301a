"""hls4ml's parts of ``synthesize``: a variant's firmware, and what it says once it is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.edge.compiled import CompiledFirmware, compile_firmware
from geocore.edge.description import QuantisedModel
from geocore.edge.firmware import FirmwareOptions, write_firmware
from geocore.edge.preflight import self_check
from geocore.edge.qonnx_file import write_qonnx
from geocore.edge.reference import reference_logits
from geocore.edge.vendor import VendorReport, run_vendor
from geocore.edge.vendor_tools import present_tools
from geocore.errors import UserError
from geocore.pipeline.piece import make_part
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_bytes, digest_file, digest_json, digest_tree
from geocore.runs.store import Piece

__all__ = ["FIRMWARE", "MODEL", "HlsFlow", "digest_images"]

FIRMWARE, MODEL = "firmware", "network.qonnx.onnx"
_ANSWERS = "logits.safetensors"
_BATCH = 16  # images between two ticks of the bar
Scratch = Callable[[], AbstractContextManager[Path]]


class HlsFlow:
    """The parts of one network, ``model``, that ``digest`` stands for in keys.

    ``queues`` are the words that wait between two nodes, of streams before joins that need more
    than one: the least with which the open flow's modules lose nothing. hls4ml's own pipelines may
    be longer, which only a vendor's simulation tells; all other streams hold a whole image.
    """

    def __init__(
        self,
        job: Job,
        model: QuantisedModel,
        digest: str,
        options: FirmwareOptions,
        scratch: Scratch,
        queues: Mapping[tuple[str, str], int],
    ) -> None:
        self._job, self._model, self._options, self._scratch = job, model, options, scratch
        self._queues = queues
        self._network = {"network": digest}
        self._log = job.work / "firmware.log"

    def firmware(self) -> Piece:
        """Part ``firmware``: the QONNX file and the folder of sources; reuse factors in values."""

        def build(folder: Path) -> dict[str, Any]:
            reuse = self._write(folder)
            return {"reuse_factors": reuse, "compiled_from": _compiled_from(folder / FIRMWARE)}

        queues = [[*edge, words] for edge, words in sorted(self._queues.items())]
        return make_part(
            self._job, "firmware", build,
            parameters=asdict(self._options) | {"queues": queues},
            inputs=self._network, code=[__name__],
        )  # fmt: skip

    def answers(self, firmware: Piece, images: Tensor) -> tuple[int, Tensor]:
        """Part ``firmware-answers``: on how many images a number is not the reference's; logits.

        The sources are written anew for it and compared: what a store holds is never run. Scripts
        for the vendor's tool are not compiled, so another clock asks nothing again. Before the
        images it is asked random ones of the whole input's grid (``self_check``), and raises
        ``UserError`` where it is not the reference on each of them: such a firmware counts for
        nothing.
        """
        wanted = firmware.values["compiled_from"]

        def build(folder: Path) -> dict[str, Any]:
            with self._scratch() as scratch:
                self._write(scratch)
                if _compiled_from(scratch / FIRMWARE) != wanted:
                    raise RuntimeError(
                        f"hls4ml wrote other sources than those of piece {firmware.key}; "
                        "expected equal ones from equal arguments"
                    )
                compiled = compile_firmware(scratch / FIRMWARE, self._model, self._log)
                self._check(compiled)
                found = []
                with self._job.progress.bar("firmware", len(images)) as bar:
                    for batch in images.split(_BATCH):
                        found.append(compiled.logits(batch))
                        bar.advance(len(batch))
            logits = torch.cat(found)
            wrong = [
                (answer != reference_logits(self._model, batch)).flatten(1).any(dim=1)
                for answer, batch in zip(logits.split(_BATCH), images.split(_BATCH), strict=True)
            ]
            save_file({"logits": logits}, folder / _ANSWERS)
            return {"mismatches": int(torch.cat(wrong).sum())}

        piece = make_part(
            self._job, "firmware-answers", build, parameters={},
            inputs={
                **self._network, "sources": wanted, "images": digest_images(self._model, images),
            },
            code=[__name__],
        )  # fmt: skip
        return piece.values["mismatches"], load_file(piece.file(_ANSWERS))["logits"]

    def vendor(self, firmware: Piece) -> VendorReport:
        """Part ``vendor``: what the tools on PATH make of the sources, written anew for them."""
        tools = present_tools(self._options.backend)

        def build(folder: Path) -> dict[str, Any]:
            del folder
            with self._scratch() as scratch:
                self._write(scratch)
                report = run_vendor(scratch / FIRMWARE, self._options.backend, self._log)
            if report is None:
                raise RuntimeError(f"{' and '.join(tools)}: gone from PATH since they were found")
            return asdict(report)

        piece = make_part(
            self._job, "vendor", build, parameters={"tools": tools},
            inputs={**self._network, "sources": digest_tree(firmware.folder / FIRMWARE)},
            code=[__name__],
        )  # fmt: skip
        return VendorReport.of(piece.values)

    def _check(self, compiled: CompiledFirmware) -> None:
        """``self_check``; one that fails is written and asked again, to name the node that does."""
        try:
            self_check(compiled, self._model)
        except UserError:
            with self._scratch() as scratch:
                self._write(scratch, trace=True)
                self_check(
                    compile_firmware(scratch / FIRMWARE, self._model, self._log), self._model
                )
            raise

    def _write(self, folder: Path, *, trace: bool = False) -> dict[str, int]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        write_qonnx(self._model, folder / MODEL)
        return write_firmware(
            folder / MODEL, self._model, self._options, folder / FIRMWARE, self._log, self._queues,
            trace=trace,
        )  # fmt: skip


def digest_images(model: QuantisedModel, images: Tensor) -> str:
    """Of what the network is given: images on its grid."""
    seen = model.input.quantise(images).contiguous().numpy()
    return digest_json([list(seen.shape), digest_bytes(seen.tobytes())])


def _compiled_from(folder: Path) -> str:
    """A digest of the files that the library is compiled from, and of the weights it reads."""
    suffixes = (".cpp", ".h", ".sh", ".txt")
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    return digest_json({path.relative_to(folder).as_posix(): digest_file(path) for path in files})

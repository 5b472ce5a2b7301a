"""The body of ``synthesize``: every variant on the ways that it goes, compared, in one folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.runtime import RuntimeParams
from geocore.config.synthesize import MAIN, SynthesizeParams, Variant
from geocore.data.table import SPLITS, Table
from geocore.data.tabletype import TableType
from geocore.edge import ledger
from geocore.edge.description import QuantisedModel
from geocore.edge.device import PARTS, named_part, require_fits
from geocore.edge.estimate import estimate
from geocore.edge.float_graph import FloatGraph
from geocore.edge.hls_profile import spreads
from geocore.edge.layers import layer_rows, write_layers
from geocore.edge.reference import reference_logits
from geocore.edge.vendor import VendorReport
from geocore.edge.vendor_tools import SYNTHESIS, missing_tools
from geocore.errors import UserError
from geocore.healpix.draw import write_png
from geocore.pipeline.predictions import Predictions
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.synthesis_hls import FIRMWARE, MODEL, HlsFlow
from geocore.pipeline.synthesis_layout import planned_layout
from geocore.pipeline.synthesis_networks import (
    INTEGERS,
    WEIGHTS,
    Images,
    Networks,
    firmware_options,
)
from geocore.pipeline.synthesis_open import RTL, OpenFlow, layout_of, streamed
from geocore.pipeline.synthesis_results import (
    Found,
    headline,
    ledger_rows,
    metrics_of,
    pictures,
    prediction_table,
)
from geocore.pipeline.synthesis_scores import Scores, classified, labelled_pixels
from geocore.pipeline.synthesis_search import search_bits
from geocore.pipeline.synthesis_tools import require_tools_of
from geocore.runs.atomic import discard, write_json
from geocore.runs.digest import digest_file, digest_tree
from geocore.runs.store import Piece
from geocore.train.device import resolve
from geocore.train.feed import table_feed

__all__ = ["synthesize"]

_BATCH = 64  # images at once where none is learnt from
_BENCH = 2  # in the test bench beside the Verilog
_RANGED = 16  # of test, whose values say which bits the layers use


def synthesize(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Make the parts, or find them, and write everything that the stage gives into ``folder``.

    ``wanted`` is the type that the stage requires of its table. Returns the headline, the files'
    digests and the parts' keys. A firmware or a simulation that differs from the reference on a
    sample is no error here: ``mismatches`` counts them, for the gate. Raises ``UserError`` for a
    tool that is missing, before anything is trained, for images that the network does not take, for
    sources that do not compile, and for a firmware that fails its self-check.
    """
    require_tools_of(job.section(SynthesizeParams).chosen().values())
    return _Synthesis(job, _open(job, wanted)).run(folder)


class _Synthesis:
    def __init__(self, job: Job, images: Images) -> None:
        self._job, self._images = job, images
        self._params = params = job.section(SynthesizeParams)
        self._networks = Networks(job, images)
        self._options = firmware_options(params)
        self._part = named_part(params.part)
        if not self._part:
            job.progress.say(
                f"{job.params_file}: synthesize.part {params.part} is none of {', '.join(PARTS)}: "
                "no share of it is told"
            )
        self._parts: list[str] = []
        self._said: dict[str, dict[str, Predictions]] = {}

    def run(self, folder: Path) -> Manifest:
        """Everything into ``folder``."""
        for left in self._job.work.glob("compiled-*"):  # of a run that was killed
            discard(left)
        chosen = self._params.chosen()
        self._networks.require()
        given, graph = self._networks.float_network()
        self._parts.append(given.key)
        floats = self._scores("float", graph.run)
        found: dict[str, Found] = {}
        for name, variant in chosen.items():
            found[name] = self._variant(folder, name, variant, given, graph)
        metrics = metrics_of(self._params, floats, found)
        rows = ledger.merge(ledger_rows(self._params, floats, found))
        write_json(folder / "metrics.json", metrics)
        write_layers(
            folder / "layers.csv", layer_rows(found[MAIN].model, found[MAIN].reuse_factors)
        )
        ledger.write(folder / "ledger.csv", rows)
        if self._said:
            pq.write_table(prediction_table(self._said), folder / "predictions.parquet")
        (folder / "pictures").mkdir()
        ranges = spreads(found[MAIN].model, self._first(_RANGED))
        for name, picture in pictures(rows, found, ranges).items():
            write_png(folder / "pictures" / f"{name}.png", picture)
        _write_weights(folder / "weights.safetensors", given, found[MAIN].model)
        return {
            "files": {
                path.name: digest_tree(path) if path.is_dir() else digest_file(path)
                for path in sorted(folder.iterdir())
            },
            **headline(metrics),
            "parts": self._parts,
        }

    def _variant(
        self, folder: Path, name: str, variant: Variant, given: Piece, graph: FloatGraph
    ) -> Found:
        points: list[dict[str, float]] = []
        bits = self._networks.bits(variant)
        if variant.search_rise is not None:
            inputs = {"raw": self._job.inputs["raw"], "float": digest_file(given.file(WEIGHTS))}
            feed = self._images.feeds["train"]
            searched, bits = search_bits(self._job, self._networks, variant, graph, feed, inputs)
            points = searched.values["points"]
            self._parts.append(searched.key)
        piece, model = self._networks.variant(name, variant, bits, given, graph)
        self._parts.append(piece.key)
        digest = digest_file(piece.file(INTEGERS))
        known: dict[str, Any] = {
            "reuse_factors": {},
            "filters": piece.values["filters"],
            "search": points,
        }
        scores = self._scores(name, lambda images: reference_logits(model, images))
        layout = planned_layout(self._job, model, digest, dense_cycles=self._params.dense_cycles)
        if "hls4ml" in (variant.ways or ()):
            queues = layout.queues if self._options.io_type == "io_stream" else {}
            hls = HlsFlow(self._job, model, digest, self._options, self._scratch, queues)
            firmware = hls.firmware()
            images = self._first(self._params.images)
            wrong, logits = hls.answers(firmware, images)
            self._parts.append(firmware.key)
            known |= {"asked": len(images), "mismatches": wrong}
            known["reuse_factors"] = firmware.values["reuse_factors"]
            known["vendor"] = self._vendor(name, hls, firmware)
            if name == MAIN:
                shutil.copyfile(firmware.file(MODEL), folder / MODEL)
                shutil.copytree(firmware.folder / FIRMWARE, folder / FIRMWARE)
                if not self._params.dense:
                    said = self._predictions(logits)
                    self._said.setdefault("firmware", {})["test"] = said
                    known["firmware"] = classified(said, self._images.classes)
        if "verilog" in (variant.ways or ()):
            flow = OpenFlow(
                self._job, model, digest, self._scratch,
                dense_cycles=self._params.dense_cycles, products=variant.products,
            )  # fmt: skip
            images = streamed(self._first(self._params.streamed), self._params.streamed)
            design = flow.design(images[:_BENCH])
            self._parts.append(design.key)
            known["simulation"] = flow.simulate(images)
            layout = layout_of(design)
            known["netlists"] = flow.netlists(design, self._params.vectors)
            if name == MAIN:
                shutil.copytree(design.folder / RTL, folder / RTL)
        known["estimate"] = None if variant.products else estimate(model, layout)
        found = Found(variant, model, scores, **known)
        self._compare_with_part(name, found)
        return found

    def _vendor(self, name: str, hls: HlsFlow, firmware: Piece) -> VendorReport | None:
        """What the vendor's tools say, where they are on PATH; else a line names those missing."""
        missing = missing_tools(self._options.backend)
        if missing:
            left = "synthesis" if missing[0] != SYNTHESIS else "placing and routing"
            self._job.progress.say(
                f"{name}: the vendor's {left} is left out: {' and '.join(missing)} not on PATH"
            )
        if missing and missing[0] != SYNTHESIS:
            return None
        return hls.vendor(firmware)

    def _compare_with_part(self, name: str, found: Found) -> None:
        """Say so where a variant does not go into the part."""
        if found.netlists is not None:
            taken = found.netlists.total
        elif found.estimate is not None:
            taken = found.estimate.total.resources
        else:
            return
        try:
            if self._part:
                require_fits(taken, self._part)
        except UserError as error:
            self._job.progress.say(f"{name}: {error}")

    def _scores(self, name: str, answer: Any) -> dict[str, Scores]:
        found = {}
        for split in ("val", "test"):
            feed = self._images.feeds[split]
            if self._params.dense:
                found[split] = labelled_pixels(answer, feed, self._images.classes, _BATCH)
                continue
            batches = torch.arange(len(feed)).split(_BATCH)
            with torch.inference_mode():
                logits = torch.cat([answer(feed(at)[0]).double() for at in batches])
            said = Predictions(feed.ids, feed.labels, logits)
            found[split] = classified(said, self._images.classes)
            if name in ("float", MAIN):
                self._said.setdefault("quantised" if name == MAIN else name, {})[split] = said
        return found

    def _first(self, count: int) -> Tensor:
        feed = self._images.feeds["test"]
        return feed(torch.arange(min(count, len(feed))))[0]

    def _predictions(self, logits: Tensor) -> Predictions:
        feed, count = self._images.feeds["test"], len(logits)
        return Predictions(feed.ids[:count], feed.labels[:count], logits)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder of a new name, gone at the end. Several may be in use at once."""
        work = self._job.work
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work, prefix="compiled-") as name:
            yield Path(name)


def _open(job: Job, wanted: TableType) -> Images:
    table = Table.open(job.input("raw"), wanted, verify=True)
    table.require_finite()
    where, classes = job.stage.takes["raw"].path, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    height, width, channels = table.info.type.shape
    task: Literal["segmentation", "classification"]
    task = "segmentation" if job.section(SynthesizeParams).dense else "classification"
    here, device = torch.device("cpu"), resolve(job.section(RuntimeParams).device)
    feeds = {split: table_feed(table, split, here, task) for split in SPLITS}
    learnt_from = feeds
    if device != here:
        learnt_from = {split: table_feed(table, split, device, task) for split in ("train", "val")}
    return Images(feeds, (height, width, channels), tuple(classes), where, learnt_from)


def _write_weights(path: Path, given: Piece, model: QuantisedModel) -> None:
    """``float.*`` as they were trained, ``quantised.*`` as integers, their formats beside them.

    ``QuantisedModel.read(path, "quantised.")`` reads the latter back.
    """
    held: Mapping[str, Tensor] = load_file(given.file(WEIGHTS))
    tensors = {f"float.{name}": value for name, value in held.items()}
    tensors |= {f"quantised.{name}": value for name, value in model.tensors().items()}
    save_file(tensors, path, metadata={"quantised": model.about()})

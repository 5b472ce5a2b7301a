"""The body of ``synthesize``: its parts in order, what they say compared, into one folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocore.config.synthesize import SynthesizeParams
from geocore.data.table import SPLITS, Table
from geocore.data.tabletype import TableType
from geocore.edge.description import QuantisedModel
from geocore.edge.layers import layer_rows, parameters, write_layers
from geocore.edge.reference import reference_logits
from geocore.edge.student import Student, spatial_sizes
from geocore.edge.tools import require_tools
from geocore.errors import UserError
from geocore.pipeline.predictions import Predictions, predict
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.synthesis_parts import BATCH, FIRMWARE, MODEL, Images, Synthesis
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_tree
from geocore.train.feed import Feed, table_feed

__all__ = ["synthesize"]

MODELS = ("float", "quantised", "firmware")
Found = dict[str, dict[str, Predictions]]


def synthesize(job: Job, folder: Path, wanted: TableType) -> Manifest:
    """Make the parts, or find them, and write everything that the stage gives into ``folder``.

    ``wanted`` is the type that the stage requires of its table. Returns the headline, the files'
    digests and the parts' keys. Firmware that differs from the quantised student is no error
    here: ``mismatches`` counts the samples, for the gate. Raises ``UserError`` for a tool that is
    missing, before anything is trained, for images too small for the blocks, and for sources that
    do not compile.
    """
    params = job.section(SynthesizeParams)
    require_tools()
    images = _open(job, wanted)
    synthesis = Synthesis(job, images)
    float_part, student = synthesis.float_student()
    quantised_part, model = synthesis.quantised_student(float_part, student)
    firmware = synthesis.firmware(quantised_part, model)
    compiled_part, compiled = synthesis.firmware_predictions(quantised_part, model, firmware)

    quantised = load_file(quantised_part.file("logits.safetensors"))
    found: Found = {}
    metrics: dict[str, Any] = {}
    for split in ("val", "test"):
        feed = images.feeds[split]
        found[split] = {
            "float": predict(student, feed, BATCH),
            "quantised": _predictions(feed, quantised[split]),
            "firmware": _predictions(feed, compiled[split]),
        }
        metrics[split] = _compared(found[split], _reference(model, feed))
    rows = layer_rows(model, firmware.values["reuse_factors"])
    metrics |= {
        "parameters": parameters(model),
        "weight_bits": params.weight_bits,
        "activation_bits": params.activation_bits,
        "input_bits": params.input_bits,
        "multiplications": sum(map(model.multiplications, model.weighted)),
        "bit_operations": sum(map(model.bit_operations, model.weighted)),
    }
    write_json(folder / "metrics.json", metrics)
    write_layers(folder / "layers.csv", rows)
    pq.write_table(_table(found), folder / "predictions.parquet")
    _write_weights(folder / "weights.safetensors", student, model)
    shutil.copyfile(quantised_part.file(MODEL), folder / MODEL)
    shutil.copytree(firmware.folder / FIRMWARE, folder / FIRMWARE)
    return {
        "files": {
            path.name: digest_tree(path) if path.is_dir() else digest_file(path)
            for path in sorted(folder.iterdir())
        },
        "accuracy": metrics["test"]["firmware"]["accuracy"],
        "accuracy_loss": metrics["test"]["accuracy_loss"],
        "mismatches": metrics["test"]["mismatches"],
        "parts": [part.key for part in (float_part, quantised_part, firmware, compiled_part)],
    }


def _open(job: Job, wanted: TableType) -> Images:
    table = Table.open(job.input("raw"), wanted, verify=True)
    table.require_finite()
    where, classes = job.stage.takes["raw"].path, table.info.classes
    if not classes:
        raise UserError(f"{where}: names no classes; expected a name for each label")
    height, width, channels = table.info.type.shape
    try:
        spatial_sizes((height, width, channels), len(job.section(SynthesizeParams).channels))
    except UserError as error:
        raise UserError(f"{job.params_file}: {error}") from None
    feeds = {split: table_feed(table, split, torch.device("cpu")) for split in SPLITS}
    for feed in feeds.values():
        feed.require_classes(len(classes), where)
    return Images(feeds, (height, width, channels), len(classes))


def _predictions(feed: Feed, logits: Tensor) -> Predictions:
    return Predictions(feed.ids, feed.labels, logits)


def _reference(model: QuantisedModel, feed: Feed) -> Tensor:
    batches = torch.arange(len(feed)).split(BATCH)
    return torch.cat([reference_logits(model, feed(positions)[0]) for positions in batches])


def _compared(found: dict[str, Predictions], reference: Tensor) -> dict[str, Any]:
    """Headlines, on how many samples the logits differ as numbers, and what the chip loses.

    ``mismatches`` counts samples on which the firmware, the quantised student and the reference in
    integers are not all equal; ``reference_mismatches`` those of the last two.
    """
    quantised, firmware = found["quantised"].logits, found["firmware"].logits
    off_reference = (reference != quantised).any(dim=1)
    headlines = {name: found[name].headline() for name in MODELS}
    return {
        **headlines,
        "mismatches": int(((firmware != quantised).any(dim=1) | off_reference).sum()),
        "reference_mismatches": int(off_reference.sum()),
        "accuracy_loss": headlines["float"]["accuracy"] - headlines["firmware"]["accuracy"],
        "n": len(quantised),
    }


def _table(found: Found) -> pa.Table:
    """A row a model, split and sample."""
    tables = []
    for name in MODELS:
        for split, models in found.items():
            said = models[name]
            classes = said.logits.shape[1]
            columns = {
                "model": pa.array([name] * len(said.labels)),
                "split": pa.array([split] * len(said.labels)),
                "sample": said.samples.numpy(),
                "label": said.labels.numpy(),
                "predicted": said.predicted.numpy(),
            }
            for column, values in (("logits", said.logits), ("probabilities", said.probabilities)):
                flat = pa.array(values.numpy().reshape(-1))
                columns[column] = pa.FixedSizeListArray.from_arrays(flat, classes)
            tables.append(pa.table(columns))
    return pa.concat_tables(tables).combine_chunks()


def _write_weights(path: Path, student: Student, model: QuantisedModel) -> None:
    """``float.*`` as they were trained, ``quantised.*`` as integers, their formats beside them.

    ``QuantisedModel.read(path, "quantised.")`` reads the latter back.
    """
    tensors = {f"float.{name}": value for name, value in student.state_dict().items()}
    tensors |= {f"quantised.{name}": value for name, value in model.tensors().items()}
    save_file(tensors, path, metadata={"quantised": model.about()})

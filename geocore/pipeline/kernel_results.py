"""What stage ``ntk`` writes: predictions and their scores, the kernels, their spectra."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import save_file
from torch import Tensor

from geocore.kernels.heads import ClassificationHead
from geocore.kernels.regression import Regressor
from geocore.kernels.solver import IterativeRegressor
from geocore.measure.classification import nll
from geocore.measure.uncertainty import entropy
from geocore.pipeline.predictions import Predictions, finite
from geocore.pipeline.stage import Manifest
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file

__all__ = ["RegressedSplit", "Regression", "SplitKernels", "write_results"]


@dataclass(frozen=True)
class SplitKernels:
    """``nngp`` and ``ntk (rows, columns)``, and the NNGP of each row with itself, ``(rows,)``."""

    nngp: Tensor
    ntk: Tensor
    diagonal: Tensor


@dataclass(frozen=True)
class RegressedSplit:
    """A split's samples ``(n,)``, their labels, and the regression's ``mean (n, classes)`` and
    ``variance (n,)`` of an output.
    """

    samples: Tensor
    labels: Tensor
    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Regression:
    """With one kernel: what was solved, the kernel's eigenvalues (largest first), predictions.

    The head's temperature is fitted on the validation split. Of a matrix that was solved without a
    factor only the largest eigenvalues are known, from below.
    """

    name: str
    regressor: Regressor | IterativeRegressor
    eigenvalues: Tensor
    head: ClassificationHead
    splits: Mapping[str, RegressedSplit]

    def predictions(self, split: str) -> Predictions:
        """The split's predictions at the fitted temperature."""
        own = self.splits[split]
        return Predictions(own.samples, own.labels, self.head.logits(own.mean))

    def summary(self) -> dict[str, Any]:
        """Validation accuracy and NLL, temperature, and how well the problem is conditioned.

        What is not known of a matrix without a factor is ``None``.
        """
        shift, known = self.regressor.shift, len(self.eigenvalues) == self.regressor.size
        largest, smallest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        positive = known and smallest + shift > 0  # rounding may leave less than nothing
        return {
            "val": self.predictions("val").headline(),
            "temperature": finite(self.head.temperature),
            "jitter": self.regressor.jitter,
            "reason": self.regressor.reason,
            "condition": (largest + shift) / (smallest + shift) if positive else None,
            "largest_eigenvalue": largest,
            "smallest_eigenvalue": smallest if known else None,
        }


def write_results(
    folder: Path,
    regressions: Sequence[Regression],
    gram: SplitKernels,
    crosses: Mapping[str, SplitKernels],
    subset: tuple[Tensor, Tensor],
    training: int,
) -> Manifest:
    """Write the stage's files into ``folder``; return the manifest without the parts.

    ``gram`` holds the kernels of the subset's samples, ``crosses`` those of each held-out split
    with them; ``subset`` is their ids and labels, out of ``training`` samples.
    """
    samples, labels = subset
    pq.write_table(
        pa.table({"sample": samples.numpy(), "label": labels.numpy()}), folder / "subset.parquet"
    )
    pq.write_table(
        pa.concat_tables(_table(found, split) for found in regressions for split in found.splits),
        folder / "predictions.parquet",
    )
    save_file(_named(gram, crosses), folder / "kernels.safetensors")
    _write_spectrum(folder / "spectrum.csv", regressions)
    scores = {found.name: found.summary() for found in regressions}
    metrics = {"samples": len(samples), "training_samples": training, **scores}
    write_json(folder / "metrics.json", metrics)
    return {
        "files": {path.name: digest_file(path) for path in sorted(folder.iterdir())},
        "samples": len(samples),
        **{f"val_accuracy_{name}": score["val"]["accuracy"] for name, score in scores.items()},
        **{f"val_nll_{name}": score["val"]["nll"] for name, score in scores.items()},
    }


def _table(regression: Regression, split: str) -> pa.Table:
    """A row a sample, in the order of the kernels' rows."""
    own, found = regression.splits[split], regression.predictions(split)
    return pa.table(
        {
            "kernel": [regression.name] * len(own.samples),
            "sample": own.samples.numpy(),
            "split": [split] * len(own.samples),
            "label": own.labels.numpy(),
            "predicted": found.predicted.numpy(),
            "mean": _lists(own.mean),
            "variance": own.variance.numpy(),
            "log_probabilities": _lists(found.logits.log_softmax(dim=1)),
            "probabilities": _lists(found.probabilities),
            "entropy": entropy(found.probabilities).numpy(),
            "nll": nll(found.logits, own.labels).numpy(),
        }
    )


def _lists(values: Tensor) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1).numpy()), values.shape[1])


def _named(gram: SplitKernels, crosses: Mapping[str, SplitKernels]) -> dict[str, Tensor]:
    """``nngp.train``, ``ntk.val``, ...: rows of the split, columns of the subset."""
    return {
        f"{name}.{split}": values
        for split, kernels in {"train": gram, **crosses}.items()
        for name, values in {
            "nngp": kernels.nngp,
            "ntk": kernels.ntk,
            "nngp_diagonal": kernels.diagonal,
        }.items()
    }


def _write_spectrum(path: Path, regressions: Sequence[Regression]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("kernel", "rank", "eigenvalue"))
        for found in regressions:
            values = found.eigenvalues.tolist()
            writer.writerows((found.name, rank, value) for rank, value in enumerate(values, 1))

"""What else predicts the same samples, scored as the network is: the ensemble, the kernel twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from geocore.errors import UserError
from geocore.measure.selective import accuracy_of_kept
from geocore.measure.uncertainty import entropy
from geocore.pipeline.predictions import Predictions

__all__ = ["Companion", "kept_curve", "read_ensemble", "read_kernels"]

SHARES = torch.arange(10, 21) / 20  # of the samples, kept in order of their uncertainty
_UNCERTAINTIES = ("expected_entropy", "mutual_information")
_COLUMNS = ("sample", "split", "label", "log_probabilities")


@dataclass(frozen=True)
class Companion:
    """One that predicts: its predictions by split, and by split what else is known of them."""

    name: str
    found: dict[str, Predictions]
    more: dict[str, dict[str, Any]]

    def summary(self, bins: int) -> dict[str, Any]:
        """By split: accuracy, NLL, calibration, Brier score, and what else is known."""
        return {
            split: {**found.summary(bins), **self.more.get(split, {})}
            for split, found in self.found.items()
        }


def read_ensemble(
    predictions: Path, members: Path, like: Predictions, bins: int, shown: Callable[[Path], str]
) -> list[Companion]:
    """The ensemble by each of its two means, ``ensemble`` and ``ensemble_logits``.

    The mean of the probabilities is the Bayesian mixture, to which entropy and mutual information
    belong. Of members that are well calibrated it is too unsure (Rahaman and Thiery,
    arXiv:2007.08792); the mean of the logits is less so. With either go ``nll_ratio``, the NLL
    over that of the chosen member, the one with the best validation NLL, and ``ece_ratio``, the
    calibration error over the members' mean. How the members do one by one stands with the first.

    ``like`` are the network's test predictions, of the same samples.
    """
    rows = _read(predictions, shown(predictions), _UNCERTAINTIES)
    single = _read(members, shown(members), ("member",))
    mixture = _by_split(rows, like, shown(predictions))
    each = [_by_split(own, like, shown(members)) for _, own in _groups(single, "member")]
    logits = {
        split: dataclasses.replace(
            found, logits=torch.stack([own[split].logits for own in each]).mean(dim=0)
        )
        for split, found in mixture.items()
    }
    chosen = min(each, key=lambda own: own["val"].headline()["nll"])
    means = [Companion("ensemble", mixture, {}), Companion("ensemble_logits", logits, {})]
    for split in mixture:
        scores = [own[split].summary(bins) for own in each]
        alone = chosen[split].headline()["nll"]
        about: dict[str, Any] = {
            "count": len(each),
            "chosen_nll": alone,
            **{name: _spread([s[name] for s in scores]) for name in ("accuracy", "nll", "ece")},
        }
        there = rows.filter(pc.equal(rows["split"], split))
        for mean in means:
            own = mean.found[split].summary(bins)
            typical = about["ece"]["mean"]
            mean.more[split] = {
                "nll_ratio": own["nll"] / alone if alone > 0 else None,
                "ece_ratio": own["ece"] / typical if typical > 0 else None,
            }
        means[0].more[split] |= {
            "entropy": float(entropy(mixture[split].probabilities).mean()),
            **{name: float(pc.mean(there[name]).as_py()) for name in _UNCERTAINTIES},
            "members": about,
        }
    return means


def read_kernels(path: Path, like: Predictions, shown: Callable[[Path], str]) -> list[Companion]:
    """The infinitely wide network, by each of its kernels: ``nngp`` and ``ntk``."""
    rows = _read(path, shown(path), ("kernel",))
    return [
        Companion(str(kernel), _by_split(own, like, shown(path)), {})
        for kernel, own in _groups(rows, "kernel")
    ]


def kept_curve(found: Predictions) -> list[float]:
    """Accuracy of the samples of least predictive entropy, for each of ``SHARES``."""
    right = found.predicted == found.labels
    values: list[float] = accuracy_of_kept(entropy(found.probabilities), right, SHARES).tolist()
    return values


def _read(path: Path, shown: str, more: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=[*_COLUMNS, *more])
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{shown}: {line}; expected a Parquet file with {', '.join([*_COLUMNS, *more])}"
        ) from None


def _groups(rows: pa.Table, column: str) -> list[tuple[Any, pa.Table]]:
    names = sorted(pc.unique(rows[column]).to_pylist())
    return [(name, rows.filter(pc.equal(rows[column], name))) for name in names]


def _by_split(rows: pa.Table, like: Predictions, shown: str) -> dict[str, Predictions]:
    found = {}
    for split, own in _groups(rows, "split"):
        values = own["log_probabilities"].combine_chunks()
        flat = torch.from_numpy(values.flatten().to_numpy(zero_copy_only=False).copy())
        found[str(split)] = Predictions(
            _integers(own["sample"]), _integers(own["label"]), flat.reshape(len(values), -1)
        )
    test = found.get("test")
    same = (
        test is not None
        and "val" in found
        and torch.equal(test.samples, like.samples)
        and torch.equal(test.labels, like.labels)
        and test.logits.shape == like.logits.shape
    )
    if not same:
        told = "none" if test is None else f"{len(test.samples)}, of {test.logits.shape[1]} classes"
        raise UserError(
            f"{shown}: test samples: {told}; expected a val split, and the test split of "
            f"the network's table, {len(like.samples)} of {like.logits.shape[1]} classes: "
            f"run {Path(shown).parent.name} again"
        )
    return found


def _integers(column: pa.ChunkedArray) -> Tensor:
    return torch.from_numpy(column.to_numpy().astype("int64"))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "mean": fmean(values), "max": max(values)}

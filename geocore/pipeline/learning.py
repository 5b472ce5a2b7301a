"""What a network learns from: the table on the grid that the network reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

from geocore.config.model import ModelParams
from geocore.config.section import Section
from geocore.config.train import TrainParams
from geocore.data.tabletype import TableType
from geocore.models.catalogue import network_module
from geocore.pipeline.stage import Job, Port
from geocore.pipeline.types import SOURCES, Source

__all__ = ["TAKES", "network_code", "source", "wanted"]

Sections = Mapping[str, Section]

# Networks that do not take nested maps, and the input that they take.
_READS: Mapping[str, Source] = {
    "swin": "projected",
    "s2cnn": "driscoll_healy",
    "cnn": "driscoll_healy",
}


def _model(sections: Sections) -> ModelParams:
    model = sections[ModelParams.title]
    assert isinstance(model, ModelParams)
    return model


def _source(sections: Sections) -> Source:
    return _READS.get(_model(sections).name, "healpix")


def _type(name: Source) -> Callable[[Sections], TableType]:
    return lambda sections: dataclasses.replace(SOURCES[name], label_kind=_labels(sections))


def _needed(name: Source) -> Callable[[Sections], bool]:
    return lambda sections: _source(sections) == name


def _labels(sections: Sections) -> Literal["class", "mask"] | None:
    train = sections[TrainParams.title]
    assert isinstance(train, TrainParams)
    if train.task == "depth":  # whatever the labels are: depths are a column of their own
        return None
    return "mask" if train.task == "segmentation" else "class"


# The inputs of a stage that trains: of them the one that the network takes.
TAKES: Mapping[str, Port] = {
    name: Port(f"data/{name}", "table", type=_type(name), needed=_needed(name)) for name in SOURCES
}


def source(job: Job) -> str:
    """The name of the input that the job's network learns from."""
    return _source(job.sections)


def wanted(job: Job) -> TableType:
    """The type that is required of that input."""
    return _type(_source(job.sections))(job.sections)


def network_code(sections: Sections) -> str:
    """The module of the network that the sections name."""
    return network_module(_model(sections).name)

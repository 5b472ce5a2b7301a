"""What a network learns from: maps or planar images, as the network and the task require them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from geocore.config.model import ModelParams
from geocore.config.section import Section
from geocore.config.train import TrainParams
from geocore.data.tabletype import TableType
from geocore.models.catalogue import network_module
from geocore.pipeline.stage import Job, Port

__all__ = ["TAKES", "network_code", "source", "wanted"]

_PLANAR = ("swin",)  # networks that take planar images; all others take nested maps

Sections = Mapping[str, Section]


def _takes_images(sections: Sections) -> bool:
    model = sections[ModelParams.title]
    assert isinstance(model, ModelParams)
    return model.name in _PLANAR


def _takes_maps(sections: Sections) -> bool:
    return not _takes_images(sections)


def _maps(sections: Sections) -> TableType:
    return TableType(grid="healpix", ordering="nested", label_kind=_labels(sections))


def _images(sections: Sections) -> TableType:
    return TableType(grid="planar", label_kind=_labels(sections))


def _labels(sections: Sections) -> Literal["class", "mask"] | None:
    train = sections[TrainParams.title]
    assert isinstance(train, TrainParams)
    if train.task == "depth":  # whatever the labels are: depths are a column of their own
        return None
    return "mask" if train.task == "segmentation" else "class"


# The inputs of a stage that trains: of the two the one that the network takes.
TAKES = {
    "healpix": Port("data/healpix", "table", type=_maps, needed=_takes_maps),
    "projected": Port("data/projected", "table", type=_images, needed=_takes_images),
}


def source(job: Job) -> str:
    """The name of the input that the job's network learns from."""
    return "projected" if _takes_images(job.sections) else "healpix"


def wanted(job: Job) -> TableType:
    """The type that is required of that input."""
    return _images(job.sections) if _takes_images(job.sections) else _maps(job.sections)


def network_code(sections: Sections) -> str:
    """The module of the network that the sections name."""
    model = sections[ModelParams.title]
    assert isinstance(model, ModelParams)
    return network_module(model.name)

"""What flows from stage to stage: kinds, and the geometry of tables, checked before it is made.

A stage declares what its output's type is as far as its own parameters fix it; labels and channels
that it leaves open are those of the table that it takes. So a network that learns a class a sample
is not set on images with a class a pixel, nor measured on maps of another nside, hours later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from geocore.data.tabletype import TableType
from geocore.pipeline.pipelines import Made, Pipeline

__all__ = ["flow_faults", "table_type"]

_HANDED_ON = ("label_kind", "channels")
_WEIGHTS = "weights"  # the input of a stage that measures a network


def flow_faults(pipeline: Pipeline, made: Mapping[str, Made]) -> Iterator[str]:
    """What the stages of a pipeline take, beside what the makers give, here or elsewhere."""
    if pipeline.sections is None:
        return
    for name, stage in pipeline.declared.items():
        places = pipeline.places(name)
        for title, paths in places.items():
            for path in paths:
                yield from _input_faults(pipeline, name, title, path, made)
        if _WEIGHTS in places and any(port.choice for port in stage.takes.values()):
            yield from _measured_faults(pipeline, name, places, made)


def table_type(path: str, made: Mapping[str, Made]) -> TableType | None:
    """The type of the table at a path, as far as it is known; None for what is none."""
    maker = made.get(path)
    if maker is None or maker.port.type is None or maker.pipeline.sections is None:
        return None
    found = maker.port.type(maker.pipeline.sections)
    open_ones = [field for field in _HANDED_ON if getattr(found, field) is None]
    takes = maker.pipeline.declared[maker.name].takes
    for title, paths in maker.pipeline.places(maker.name).items() if open_ones else ():
        if takes[title].kind == "table" and paths[0] != path:
            taken = table_type(paths[0], made)
            if taken is not None:
                found = dataclasses.replace(found, **{f: getattr(taken, f) for f in open_ones})
    return found


def _input_faults(
    pipeline: Pipeline, name: str, title: str, path: str, made: Mapping[str, Made]
) -> Iterator[str]:
    port = pipeline.declared[name].takes[title]
    maker = made.get(path)
    if maker is None:
        if not path.endswith("/params.yaml"):  # that is written by hand
            yield f"stage {name}: takes {path.removeprefix(pipeline.below)}, which no stage gives"
        return
    joint = f"{_told(maker, pipeline)} -> {name} ({title})"
    if maker.port.kind != port.kind:
        yield f"{joint}: is {maker.port.kind}; expected {port.kind}"
    found = table_type(path, made)
    if found is not None and port.type is not None and pipeline.sections is not None:
        wanted = port.type(pipeline.sections)
        yield from (f"{joint}: {fault}" for fault in found.mismatches(wanted))


def _measured_faults(
    pipeline: Pipeline, name: str, places: Mapping[str, tuple[str, ...]], made: Mapping[str, Made]
) -> Iterator[str]:
    """A network is measured on the kind of table that it was trained on."""
    trained = made.get(places[_WEIGHTS][0])
    if trained is None:
        return  # told where the weights are looked for
    learnt = trained.pipeline.places(trained.name)
    for title, port in trained.pipeline.declared[trained.name].takes.items():
        if port.kind != "table" or title not in learnt:
            continue
        if title not in places:
            yield (
                f"stage {name}: deps lack {port.path}; expected the table that the network of "
                f"{_told(trained, pipeline)} reads"
            )
            continue
        mine, theirs = table_type(places[title][0], made), table_type(learnt[title][0], made)
        if mine is not None and theirs is not None:
            told = f"stage {name} ({title}): other than the network was trained on: "
            yield from (f"{told}{fault}" for fault in mine.mismatches(theirs))


def _told(maker: Made, pipeline: Pipeline) -> str:
    where = maker.pipeline.study or "the root"
    return maker.name if maker.pipeline is pipeline else f"{maker.name} of {where}"

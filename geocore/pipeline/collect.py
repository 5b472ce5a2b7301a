"""``collect``: figures of the studies below this one, side by side; pages, charts."""

from __future__ import annotations

from collections.abc import Mapping

from geocore.config.collect import CollectParams
from geocore.config.section import Section
from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.report.rendering import template_digest
from geocore.runs.digest import digest_path

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Put the figures together; it is cheaper done again than kept in the store."""
    from geocore.pipeline.collection import collect

    return collect(job)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` has written table, pages and charts."""
    del job, manifest


def whole(job: Job, manifest: Manifest) -> bool:
    """Whether all lies there as it was written, and the pages' templates are still the same."""
    files: dict[str, str] = manifest["files"]
    for port in job.stage.outputs(job.sections):
        path = job.output(port)
        if not path.exists() or digest_path(path) != files[path.name]:
            return False
    return bool(manifest.get("templates") == template_digest())


def _drawn(sections: Mapping[str, Section]) -> bool:
    params = sections[CollectParams.title]
    assert isinstance(params, CollectParams)
    return bool(params.against)


STAGE = Stage(
    name="collect",
    summary="figures of the studies below, side by side; pages that compare them, charts",
    sections=(CollectParams,),
    takes={
        "metrics": Port("results/evaluate/metrics.json", "metrics", each=True),
        "training": Port("results/train/metrics.json", "metrics", each=True, optional=True),
        "curves": Port("results/train/curve.csv", "plots", each=True, optional=True),
        "pictures": Port("results/evaluate/pictures", "pictures", each=True, optional=True),
        "params": Port("params.yaml", "numbers", each=True, optional=True),
    },
    gives={
        "metrics": Port("results/collect/metrics.json", "metrics"),
        "table": Port("results/collect/table.csv", "plots"),
        "pages": Port("results/collect/pages", "pictures"),
        "charts": Port("results/collect/charts", "pictures", needed=_drawn),
    },
    code=("geocore.pipeline.collection",),
    libraries=("jinja2",),
    make=make,
    write=write,
    whole=whole,
)

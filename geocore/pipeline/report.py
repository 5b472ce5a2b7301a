"""``report``: what this pipeline measured, on one page of HTML that needs nothing else."""

from __future__ import annotations

from geocore.pipeline.stage import Job, Manifest, Port, Stage
from geocore.report.rendering import template_digest
from geocore.runs.digest import digest_file

__all__ = ["STAGE"]


def make(job: Job) -> Manifest:
    """Write the page; it is cheaper made again than kept in the store."""
    from geocore.pipeline.reporting import write_report

    return write_report(job)


def write(job: Job, manifest: Manifest) -> None:
    """Nothing is left to write: ``make`` has written the page."""
    del job, manifest


def whole(job: Job, manifest: Manifest) -> bool:
    """Whether the page lies there as it was written, and its templates are still the same."""
    page = job.output("page")
    if not page.is_file() or manifest.get("templates") != template_digest():
        return False
    files: dict[str, str] = manifest["files"]
    return digest_file(page) == files[page.name]


STAGE = Stage(
    name="report",
    summary="one page: who predicts how well, gates, learning curves, pictures, all numbers",
    sections=(),
    takes={
        "evaluate": Port("results/evaluate/metrics.json", "metrics"),
        "evaluate_gates": Port("results/evaluate/gates.json", "metrics"),
        "evaluate_pictures": Port("results/evaluate/pictures", "pictures"),
        "train": Port("results/train/metrics.json", "metrics"),
        "train_curve": Port("results/train/curve.csv", "plots"),
        "alignment": Port("results/alignment/metrics.json", "metrics", optional=True),
        "alignment_pictures": Port("results/alignment/pictures", "pictures", optional=True),
        "resample_pictures": Port("results/resample", "pictures", optional=True),
        "ensemble": Port("results/ensemble/metrics.json", "metrics", optional=True),
        "ensemble_curves": Port("results/ensemble/curves.csv", "plots", optional=True),
        "ntk": Port("results/ntk/metrics.json", "metrics", optional=True),
        "synthesize": Port("results/synthesize/metrics.json", "metrics", optional=True),
        "synthesize_gates": Port("results/synthesize/gates.json", "metrics", optional=True),
        "synthesize_layers": Port("results/synthesize/layers.csv", "numbers", optional=True),
        "synthesize_ledger": Port("results/synthesize/ledger.csv", "numbers", optional=True),
        "synthesize_pictures": Port("results/synthesize/pictures", "pictures", optional=True),
    },
    gives={"page": Port("results/report/report.html", "page")},
    code=("geocore.pipeline.reporting",),
    libraries=("jinja2",),
    make=make,
    write=write,
    whole=whole,
)

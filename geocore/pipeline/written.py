"""Whether what a stage has written itself, without a piece of its files, still lies there."""

from __future__ import annotations

from geocore.pipeline.stage import Job, Manifest
from geocore.runs.digest import digest_path

__all__ = ["files_whole"]


def files_whole(job: Job, manifest: Manifest) -> bool:
    """Whether every output has the digest that ``manifest["files"]`` records for its name.

    The ``whole`` of a stage whose ``make`` writes files and folders to their places and returns
    their digests, ``digest_path`` of each.
    """
    files: dict[str, str] = manifest["files"]
    paths = [job.output(name) for name in job.stage.outputs(job.sections)]
    return all(path.exists() and digest_path(path) == files[path.name] for path in paths)

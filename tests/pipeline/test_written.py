"""Files that a stage has written itself: there, altered, gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.pipeline.orbits import STAGE
from geocore.pipeline.stage import Job
from geocore.pipeline.written import files_whole
from geocore.runs.digest import digest_path
from tests.pipeline.orbit_jobs import params
from tests.pipeline.stages import study_job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job with all its outputs: two files and a folder of one."""
    here = study_job(STAGE, tmp_path, params("ising"))
    for name, port in STAGE.gives.items():
        path = here.output(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if port.kind == "pictures":
            path.mkdir()
            path = path / "one.png"
        path.write_text(name, encoding="utf-8")
    return here


def told(job: Job) -> dict[str, dict[str, str]]:
    paths = [job.output(name) for name in STAGE.gives]
    return {"files": {path.name: digest_path(path) for path in paths}}


def test_what_lies_as_written_is_whole(job: Job) -> None:
    assert files_whole(job, told(job))


@pytest.mark.parametrize("name", ["table", "pictures/one.png"])
def test_an_altered_file_is_not(job: Job, name: str) -> None:
    manifest = told(job)
    output, _, inner = name.partition("/")
    (job.output(output) / inner).write_text("altered", encoding="utf-8")
    assert not files_whole(job, manifest)


def test_nor_is_one_that_is_gone(job: Job) -> None:
    manifest = told(job)
    shutil.rmtree(job.output("pictures"))
    assert not files_whole(job, manifest)

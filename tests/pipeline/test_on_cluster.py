"""Stages on a Dask cluster: the same bytes whatever the runner, whoever dies on the way."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("distributed")

from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.pipeline import evaluate, project, resample
from geocore.pipeline.on_cluster import cluster_of, in_pieces, make_rows
from geocore.pipeline.run import make, open_job
from geocore.pipeline.stage import Job
from geocore.runs.cluster import Cluster
from geocore.runs.digest import digest_file, digest_tree
from tests.pipeline.dense import MAPS, write_project
from tests.pipeline.dense import evaluated as evaluated_pixels
from tests.pipeline.stages import RUNTIME, blobs, stage_job, write_raw
from tests.pipeline.test_evaluate import root as evaluated  # noqa: F401  (a fixture)
from tests.pipeline.test_kernel_blocks import NETWORK, samples
from tests.pipeline.test_kernel_blocks import job_in as kernel_job

DASK = RUNTIME.model_copy(update={"runner": "dask", "workers": 2})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that nobody looks at, tables of several parts, and a cluster if it is asked for."""
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._MOLLWEIDE_WIDTH", 60)
    monkeypatch.setattr("geocore.pipeline.sphere_pictures._DISC_SIZE", 40)
    monkeypatch.setattr("geocore.data.table._PART_BYTES", 20_000)
    monkeypatch.delenv("GEOCORE_DASK", raising=False)


@pytest.fixture(scope="module")
def local() -> Iterator[Cluster]:
    """Two workers of this machine, as the runner ``dask`` starts them."""
    with Cluster("local", 2) as found:
        yield found


@pytest.fixture
def there(local: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The same two for every test of the module, by their address."""
    local.client()
    assert local._process is not None
    monkeypatch.setenv("GEOCORE_DASK", local._process.address)
    return local


def job_of(stage: Any, root: Path, notes: dict[str, Any] | None = None, **changes: Any) -> Job:
    job = stage_job(stage, root, **changes)
    name = next(iter(stage.takes))
    given = {name: digest_file(job.input(name) / "table.json")}
    noted: dict[str, Any] = {} if notes is None else notes
    return dataclasses.replace(job, inputs=given).noting(lambda **values: noted.update(values))


def ran(root: Path) -> dict[str, str]:
    """``project`` and ``resample`` in ``root``: the digests of what they gave."""
    write_raw(root / "data/raw", blobs(70, 9, 13), rows_per_part=40)
    project.STAGE.make(job_of(project.STAGE, root, rotation="so3"))
    resample.STAGE.make(job_of(resample.STAGE, root))
    names = ("data/projected", "data/healpix", "results/resample")
    parts = list((root / "data/healpix").glob("part-*.arrow"))
    assert len(parts) > 10
    return {name: digest_tree(root / name) for name in names}


def test_project_and_resample_give_the_same_bytes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    here = ran(tmp_path / "here")
    request.getfixturevalue("there")
    assert ran(tmp_path / "there") == here


def test_a_worker_killed_in_the_middle_of_a_table_changes_no_byte(
    there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raw(tmp_path / "data/raw", blobs(90, 9, 13), rows_per_part=40)
    project.STAGE.make(job_of(project.STAGE, tmp_path, rotation="z"))
    with monkeypatch.context() as context:
        context.delenv("GEOCORE_DASK")
        resample.STAGE.make(job_of(resample.STAGE, tmp_path))
    here = digest_tree(tmp_path / "data/healpix")
    said: list[int] = []
    answer = Cluster.answer

    def killing(self: Cluster, *arguments: Any) -> dict[str, Any]:
        said.append(1)
        if len(said) == 3:
            pid = next(iter(there.client().run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)
        return answer(self, *arguments)

    monkeypatch.setattr(Cluster, "answer", killing)
    resample.STAGE.make(job_of(resample.STAGE, tmp_path))
    assert len(said) > 5 and digest_tree(tmp_path / "data/healpix") == here


def test_a_killed_run_goes_on_with_the_parts_that_it_has(
    there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raw(tmp_path / "data/raw", blobs(90, 9, 13), rows_per_part=40)
    monkeypatch.setattr("geocore.data.table._PART_BYTES", 2_000)
    job = job_of(project.STAGE, tmp_path)
    answer, made = Cluster.answer, []

    def stopping(self: Cluster, *arguments: Any) -> dict[str, Any]:
        made.append(arguments[1])
        if len(made) == 3:
            raise KeyboardInterrupt
        return answer(self, *arguments)

    monkeypatch.setattr(Cluster, "answer", stopping)
    with pytest.raises(KeyboardInterrupt):
        project.STAGE.make(job)
    project.STAGE.make(job)
    assert not set(made[:2]) & set(made[3:]), "what was answered for is not asked for again"
    assert made[2:], "the rest is"


@pytest.mark.slow  # measures a network three times, and workers import all of it
def test_evaluate_gives_the_same_bytes_whoever_dies(
    evaluated: Path,  # noqa: F811
    local: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, said = Cluster.answer, []

    def killing(self: Cluster, *arguments: Any) -> dict[str, Any]:
        said.append(1)
        if len(said) == 3:
            os.kill(next(iter(local.client().run(os.getpid).values())), signal.SIGKILL)
        return answer(self, *arguments)

    found = []
    for name in ("here", "there", "killed"):
        monkeypatch.setenv("GEOCORE_HOME", f".{name}")  # a store of its own
        if name == "there":
            local.client()
            assert local._process is not None
            monkeypatch.setenv("GEOCORE_DASK", local._process.address)
            # Nothing is measured here.
            monkeypatch.setattr("geocore.pipeline.evaluation_pieces.Measurement.__call__", None)
        if name == "killed":
            monkeypatch.setattr(Cluster, "answer", killing)
        notes: dict[str, Any] = {}
        job = open_job(evaluate.STAGE, evaluated).noting(lambda n=notes, **v: n.update(v))
        evaluate.STAGE.write(job, make(job))
        found.append(digest_tree(evaluated / "results/evaluate"))
        assert ("dask" in notes) == (name != "here"), "the ledger says where"
    assert found == found[:1] * 3 and len(said) > 5


@pytest.mark.slow  # measures two networks twice, and workers import all of it
@pytest.mark.parametrize("task", ["segmentation", "depth"])
def test_pixels_are_evaluated_to_the_same_bytes(
    there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setattr(
        "geocore.pipeline.dense_evaluation.draw", lambda folder, *_: (folder / "a").write_text("")
    )
    write_project(tmp_path, MAPS, task)
    found: list[str] = []
    for address in ("", os.environ["GEOCORE_DASK"]):
        monkeypatch.setenv("GEOCORE_DASK", address)
        monkeypatch.setenv("GEOCORE_HOME", f".{len(found)}")  # a store of its own
        evaluated_pixels(tmp_path)
        found.append(digest_tree(tmp_path / "results/evaluate"))
    assert found[0] == found[1]


def test_pieces_come_in_their_order_and_not_far_ahead_of_who_takes_them(tmp_path: Path) -> None:
    begun, threads = [], set()

    def body(job: Job, factor: int) -> Any:
        def made(number: int) -> int:
            begun.append(number)
            threads.add(torch.get_num_threads())
            if number == 30:
                raise UserError("piece 30 is none; expected another")
            return factor * number

        return made

    runtime = RUNTIME.model_copy(update={"threads": 3})
    job = dataclasses.replace(kernel_job(tmp_path), sections={"runtime": runtime})
    before = torch.get_num_threads()
    found = in_pieces(job, body(job, 2), body, [(number,) for number in range(40)], 2)
    assert [next(found) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert max(begun) < 5 + 2 * 3, "memory is bounded, whatever the number of pieces"
    with pytest.raises(UserError, match="piece 30 is none"):
        list(found)
    assert max(begun) < 40 and threads == {1} and torch.get_num_threads() == before


def test_a_mistake_there_is_the_same_line_here(
    there: Cluster,
    evaluated: Path,  # noqa: F811
) -> None:
    (evaluated / "results/train/weights.safetensors").write_bytes(b"no weights")
    lines = []
    for address in ("", os.environ["GEOCORE_DASK"]):
        os.environ["GEOCORE_DASK"] = address
        with pytest.raises(UserError) as caught:
            make(open_job(evaluate.STAGE, evaluated))
        lines.append(caught.value.lines)
    assert lines[0] == lines[1] and len(lines[0]) == 1


def test_what_a_worker_does_not_see_is_told(
    there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raw(tmp_path / "data/raw", blobs(9, 9, 13))
    job = job_of(project.STAGE, tmp_path)
    wrong = dataclasses.replace(job, inputs={"raw": "0" * 32})
    with pytest.raises(UserError) as caught:
        project.STAGE.make(wrong)
    assert caught.value.lines[0].endswith("/data/raw; expected the same")
    monkeypatch.setattr("geocore.runs.parts.Parts.noted", lambda self, name: None)
    monkeypatch.setattr("geocore.pipeline.on_cluster._SEEN", 0.5)
    with pytest.raises(UserError, match=r"where it is not seen; expected a file system shared"):
        project.STAGE.make(job)


def test_the_runner_alone_starts_a_cluster_of_this_machine(tmp_path: Path) -> None:
    job = kernel_job(tmp_path)
    assert cluster_of(job, 4) is None
    notes: dict[str, Any] = {}
    runtime = job.section(RuntimeParams).model_copy(update={"runner": "dask", "workers": 2})
    asked = dataclasses.replace(job, sections={"runtime": runtime}).noting(
        lambda **values: notes.update(values)
    )
    cluster = cluster_of(asked, 4)
    assert cluster is not None and cluster.place == notes["dask"] == "local"
    assert cluster._workers == 2 and cluster._process is None, "not before it is needed"
    assert cluster_of(asked, 1)._workers == 1  # type: ignore[union-attr]


def test_an_array_of_jobs_needs_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOCORE_DASK", "slurm")
    with pytest.raises(UserError, match=r"params\.yaml: runtime\.workers is 0, and GEOCORE_DASK i"):
        cluster_of(kernel_job(tmp_path, workers=0), 4)


@pytest.mark.slow  # starts a cluster
def test_all_matrices_of_a_stage_share_one_started_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geocore.pipeline.kernel_blocks import StoredKernels

    monkeypatch.setattr("geocore.pipeline.kernel_blocks.kernel_block", None)  # none is made here
    job = kernel_job(tmp_path)
    kernels = StoredKernels(dataclasses.replace(job, sections={"runtime": DASK}), block=5)
    kernels.symmetric(NETWORK, samples())
    first = kernels._cluster
    kernels.cross(NETWORK, samples(), samples(7, seed=1))
    assert first is not None and kernels._cluster is first and first._process is not None
    process = first._process._process
    del kernels
    assert process.returncode is not None, "ended with whoever asked"


def test_the_task_refuses_other_code() -> None:
    import json

    about = json.dumps({"made_by": {"torch": "0"}, "module": "geocore.pipeline.resample"})
    told = make_rows({"job": about, "body": resample.rows, "span": (0, 1)})
    assert told["error"][0].endswith("expected 0, as here, so that results are the same")

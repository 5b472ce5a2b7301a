"""A stage's body on a Dask cluster, whose workers see the project's files at the same path.

Rows of a table and whole measurements are asked for by the name of what makes them; a worker builds
the job again from plain values. Parts of a table it writes where they belong, other files come back
as bytes. A cluster decides no byte.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.table import Columns, TableWriter
from geocore.data.tabletype import TableInfo
from geocore.errors import UserError
from geocore.pipeline.code import deciding_code
from geocore.pipeline.progress import Progress
from geocore.pipeline.run import stage_of
from geocore.pipeline.stage import Job, Manifest
from geocore.pipeline.streamed import parts_of
from geocore.runs.cluster import Cluster, cluster_place, made_by, other_than
from geocore.runs.digest import digest_file, digest_path
from geocore.runs.parts import Parts
from geocore.runs.store import Store

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["cluster_of", "fill", "fill_there", "make_rows", "rows_of"]

Part = Callable[[int, int], Columns]
Rows = Callable[[Job], Part]
_AHEAD = 2  # parts that a worker is asked for at a time, so that it need not wait for the next
_SEEN = 90.0  # seconds until what was written elsewhere is seen: NFS remembers what was missing


def cluster_of(job: Job, pieces: int) -> Cluster | None:
    """The cluster that works on the job's ``pieces``; None where this machine does.

    The ledger notes which. Raises ``UserError`` as ``cluster_place`` does, and for an array of jobs
    whose number ``runtime.workers`` does not say.
    """
    runtime = job.section(RuntimeParams)
    place = cluster_place(runtime.runner)
    if place is None:
        return None
    if place == "slurm" and not runtime.workers:
        raise UserError(
            f"{job.params_file}: runtime.workers is 0, and GEOCORE_DASK is slurm; expected how "
            "many jobs are submitted"
        )
    job.note(dask=place)
    return Cluster(place, runtime.processes(pieces), job.progress.say)


def rows_of(
    job: Job, rows: Rows, output: str, info: TableInfo, spans: Sequence[tuple[int, int]]
) -> tuple[Part, bool]:
    """``part(start, stop)`` for ``stream_table`` of ``output`` over ``spans``: ``rows(job)``.

    On a cluster the parts are written first, by its workers, to where ``stream_table`` finds those
    of a run that was killed: none is left to make then, and the second value, ``written``, is true.
    ``rows`` is a function of a module.
    """
    cluster = cluster_of(job, len(spans))
    if cluster is not None:
        with cluster:
            _write_there(job, cluster, rows, output, info, spans)
    made = cache(lambda: rows(job))
    return lambda start, stop: made()(start, stop), cluster is not None


def _write_there(
    job: Job,
    cluster: Cluster,
    rows: Rows,
    output: str,
    info: TableInfo,
    spans: Sequence[tuple[int, int]],
) -> None:
    parts, names = parts_of(job, output, info, spans)
    later = deque(zip(names, spans, strict=True))
    request = {**_described(job, rows), "info": info, "folder": str(parts.folder.resolve())}
    waiting: deque[tuple[str, tuple[int, int], Future[Any]]] = deque()
    total = sum(stop - start for start, stop in spans)
    with job.progress.bar(f"{job.stage.name} on {cluster.place}", total) as bar:
        while later or waiting:
            while later and len(waiting) < _AHEAD * cluster.width():
                name, span = later.popleft()
                if parts.done(name):
                    bar.advance(span[1] - span[0])
                    continue
                asked = {**request, "name": name, "span": span}
                waiting.append((name, span, cluster.submit(make_rows, asked)))
            if not waiting:
                continue
            name, span, future = waiting.popleft()
            cluster.answer(future, f"rows {span[0]} to {span[1]}")
            if not _seen(parts, name):
                raise UserError(
                    f"a Dask worker wrote {name} to {parts.folder}, where it is not seen; expected "
                    f"a file system shared with whoever runs {job.stage.name}"
                )
            bar.advance(span[1] - span[0])


def _seen(parts: Parts, name: str) -> bool:
    """Whether what a worker wrote is here, or comes to be."""
    end = time.monotonic() + _SEEN
    while parts.noted(name) is None:
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def fill_there(job: Job, body: Callable[..., Manifest], folder: Path, *arguments: Any) -> Manifest:
    """``body(job, folder, *arguments)``, here or as one piece of work on the job's cluster.

    ``body`` is a function of a module; ``arguments`` are plain values.
    """
    cluster = cluster_of(job, 1)
    if cluster is None:
        return body(job, folder, *arguments)
    with cluster:
        request = {**_described(job, body), "arguments": arguments}
        found = cluster.ask(fill, request, f"{job.stage.name}")
    for values in found["notes"]:
        job.note(**values)
    for name, content in found["files"].items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"a worker names its file {name!r}; expected one below the folder")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    manifest: Manifest = found["manifest"]
    return manifest


def make_rows(request: dict[str, Any]) -> dict[str, Any]:
    """The task, on a worker: one part is written and journalled; or ``{"error": lines}``.

    A worker that was given up and one that does its work again write the same bytes, each at once.
    """
    try:
        part = _opened(request["job"], request["body"])
        parts = Parts(Path(request["folder"]))
        if parts.noted(request["name"]) is not None:  # by a worker that was taken for dead
            return {}
        columns = part(*request["span"])
        with parts.write(request["name"]) as path:
            TableWriter(request["info"]).write_part(path, columns)
    except UserError as error:
        return {"error": list(error.lines)}
    return {}


def fill(request: dict[str, Any]) -> dict[str, Any]:
    """The task, on a worker: ``{"manifest", "files", "notes"}``, or ``{"error": lines}``."""
    notes: list[dict[str, Any]] = []
    try:
        job = _rebuilt(request["job"]).noting(lambda **values: notes.append(values))
        with TemporaryDirectory(prefix="geocore-") as scratch:
            folder = Path(scratch)
            manifest = request["body"](job, folder, *request["arguments"])
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
    except UserError as error:
        return {"error": list(error.lines)}
    return {"manifest": manifest, "files": files, "notes": notes}


def _described(job: Job, body: Callable[..., Any]) -> dict[str, Any]:
    """What a worker builds the job again from; JSON, so that equal jobs are told to be equal."""
    about = {
        "stage": job.stage.name,
        "root": str(job.root.resolve()),
        "study": job.study,
        "sections": {name: part.model_dump(mode="json") for name, part in job.sections.items()},
        "values": job.values,
        "inputs": dict(job.inputs),
        "places": {name: list(paths) for name, paths in job.places.items()},
        "store": str(job.store.root.resolve()),
        "work": str(job.work.resolve()),
        "key": job.key,
        "code": job.code,
        "module": body.__module__,
        "made_by": made_by(deciding_code([body.__module__])),
    }
    return {"job": json.dumps(about, sort_keys=True), "body": body}


@lru_cache(maxsize=1)  # a worker makes many parts of one table
def _opened(about: str, rows: Rows) -> Part:
    return rows(_rebuilt(about))


def _rebuilt(about: str) -> Job:
    """The job, on a worker of the same code that sees the same inputs; ``UserError`` otherwise."""
    import torch

    told = json.loads(about)
    if (other := other_than(told["made_by"], deciding_code([told["module"]]))) is not None:
        raise UserError(other)
    stage = stage_of(told["stage"], [told["stage"]])
    kinds: list[type[Section]] = [*stage.sections, *stage.written_with, RuntimeParams]
    known = {kind.title: kind for kind in kinds}
    sections = {name: known[name].of(raw).read(raw) for name, raw in told["sections"].items()}
    job = Job(
        stage=stage,
        root=Path(told["root"]),
        sections=sections,
        values=told["values"],
        inputs=told["inputs"],
        store=Store(Path(told["store"])),
        work=Path(told["work"]),
        key=told["key"],
        code=told["code"],
        progress=Progress(False),
        study=told["study"],
        places={name: tuple(paths) for name, paths in told["places"].items()},
    )
    _require_inputs(job)
    torch.set_num_threads(max(1, job.section(RuntimeParams).threads))
    return job


def _require_inputs(job: Job) -> None:
    """What lies at the inputs must be what was verified where the job was opened.

    Of a table its ``table.json`` is compared, which names every part's digest.
    """
    for name, expected in job.inputs.items():
        path = job.input(name)
        table = job.stage.takes[name].kind == "table"
        if not path.exists():
            raise UserError(
                f"a Dask worker has nothing at {path}; expected a file system shared with whoever "
                f"runs {job.stage.name}"
            )
        if job.stage.takes[name].each:
            continue
        if (digest_file(path / "table.json") if table else digest_path(path)) != expected:
            raise UserError(f"a Dask worker has other data at {path}; expected the same")

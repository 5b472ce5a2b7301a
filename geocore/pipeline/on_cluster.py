"""A stage's body on a Dask cluster, whose workers see the project's files at the same path.

Rows of a table and pieces of a measurement are asked for by the name of what makes them; a worker
builds the job again from plain values. Parts of a table it writes where they belong, numbers come
back. A cluster decides no byte.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.data.table import Columns, TableWriter
from geocore.data.tabletype import TableInfo
from geocore.errors import UserError
from geocore.pipeline.code import deciding_code
from geocore.pipeline.progress import Progress
from geocore.pipeline.run import stage_of
from geocore.pipeline.stage import Job
from geocore.pipeline.streamed import parts_of
from geocore.runs.cluster import Cluster, cluster_place, made_by, other_than
from geocore.runs.digest import digest_file, digest_path
from geocore.runs.parts import Parts
from geocore.runs.store import Store

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["cluster_of", "in_pieces", "make_piece_there", "make_rows", "rows_of"]

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


def in_pieces(
    job: Job,
    here: Callable[..., Any],
    body: Callable[..., Callable[..., Any]],
    pieces: Sequence[tuple[Any, ...]],
    *arguments: Any,
) -> Iterator[Any]:
    """``here(*piece)`` of each of ``pieces``, in their order.

    Made by ``runtime.threads`` threads of this machine or by the job's cluster, each by one thread
    of torch, so that the bytes are the same; no more than some pieces ahead of who takes them. A
    worker opens ``body(job, *arguments)`` in the place of ``here``, which has all open already:
    ``body`` is a function of a module, ``arguments`` and pieces are plain values. The first piece
    that fails ends all.
    """
    cluster = cluster_of(job, len(pieces))
    with _one_thread() as before:  # of who takes them, too: what is summed here is as well
        if cluster is None:
            yield from _in_threads(job, here, pieces, before)
        else:
            request = {**_described(job, body), "arguments": arguments}
            with cluster:
                yield from _in_cluster(job, cluster, request, pieces)


def _in_cluster(
    job: Job, cluster: Cluster, request: dict[str, Any], pieces: Sequence[tuple[Any, ...]]
) -> Iterator[Any]:
    later = deque(enumerate(pieces, start=1))
    waiting: deque[tuple[int, Future[Any]]] = deque()
    while later or waiting:
        while later and len(waiting) < _AHEAD * cluster.width():
            number, piece = later.popleft()
            asked = {**request, "piece": piece}
            waiting.append((number, cluster.submit(make_piece_there, asked)))
        number, future = waiting.popleft()
        what = f"piece {number} of {len(pieces)} of {job.stage.name}"
        yield cluster.answer(future, what)["found"]


def _in_threads(
    job: Job, here: Callable[..., Any], pieces: Sequence[tuple[Any, ...]], threads: int
) -> Iterator[Any]:
    runtime = job.section(RuntimeParams)
    wanted = (runtime.threads or threads) if runtime.device == "cpu" else 1
    width = max(1, min(wanted, len(pieces)))
    later, waiting = deque(pieces), deque[Any]()
    pool = ThreadPoolExecutor(width, initializer=_alone)
    try:
        while later or waiting:
            while later and len(waiting) <= width:  # one waits for the first thread that is free
                waiting.append(pool.submit(here, *later.popleft()))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[int]:
    """One thread of torch in the block; what it had before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def _alone() -> None:
    import torch

    torch.set_num_threads(1)


def make_piece_there(request: dict[str, Any]) -> dict[str, Any]:
    """The task, on a worker: ``{"found"}``, what one piece comes to, or ``{"error": lines}``."""
    try:
        made = _opened(request["job"], request["body"], request["arguments"])
        with _one_thread():
            return {"found": made(*request["piece"])}
    except UserError as error:
        return {"error": list(error.lines)}


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


@lru_cache(maxsize=1)  # a worker makes many parts of one table, many pieces of one measurement
def _opened(
    about: str, body: Callable[..., Callable[..., Any]], arguments: tuple[Any, ...] = ()
) -> Callable[..., Any]:
    return body(_rebuilt(about), *arguments)


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
